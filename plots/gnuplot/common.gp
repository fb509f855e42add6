# What the figures share: how curves look, where the picture goes, which schemes there are. Loaded
# by the others, from the directory that they are in.

# Okabe and Ito's colours, which the colour-blind tell apart; a dash and a mark beside each, for a
# page without colours. Linetype 20 is the baseline's second run (A/A), 21 and on broken schemes.
set linetype  1 lc rgb '#000000' lw 1.8 dt 1 pt 7
set linetype  2 lc rgb '#787878' lw 1.8 dt 1 pt 6
set linetype  3 lc rgb '#0072b2' lw 1.8 dt 1 pt 5
set linetype  4 lc rgb '#d55e00' lw 1.8 dt 1 pt 9
set linetype  5 lc rgb '#009e73' lw 1.8 dt (14,3) pt 13
set linetype  6 lc rgb '#e69f00' lw 1.8 dt (14,3) pt 11
set linetype  7 lc rgb '#56b4e9' lw 1.8 dt (14,3) pt 4
set linetype  8 lc rgb '#cc79a7' lw 1.8 dt (14,3) pt 12
set linetype  9 lc rgb '#000000' lw 1.8 dt (14,3) pt 7
set linetype 20 lc rgb '#c8003c' lw 1 dt 1 pt 0
set linetype 21 lc rgb '#d55e00' lw 1.8 dt (5,4) pt 2
set linetype 22 lc rgb '#0072b2' lw 1.8 dt (1.5,3) pt 1
set linetype 23 lc rgb '#000000' lw 1.8 dt (7,3,1.5,3,1.5,3) pt 3

# The same colour for a scheme in every figure, whatever else was run.
SOUND = 'page-locked folio-batched mapcount-recheck fused-count invalidate-gate ' . \
        'invalidate-gate-fused invalidate-seq invalidate-seq-fused page-locked-xfs'
BROKEN = 'invalidate-only sketch lockless-rfc'
place(list, name) = (found = 0, sum [its = 1:words(list)] (word(list, its) eq name ? (found = its) : 0), found)
look(name) = (seen = place(SOUND, name), seen > 0 ? seen : \
              (seen = place(BROKEN, name), seen > 0 ? 20 + seen : look_of_file(name)))
# Files of the running kernel, whose names nobody knows, by their place.
knows(name) = place(SOUND, name) > 0 || place(BROKEN, name) > 0
look_of_file(name) = (seen = place(schemes, name), \
                      seen > 0 && !knows(word(schemes, 1)) ? (seen - 1) % 8 + 1 : 10)

# An ending of .png gives pixels, any other SVG. Two panels take more room.
is_png(path) = strlen(path) > 4 && path[strlen(path) - 3:] eq '.png'
if (is_png(out)) {
    if (wide) { set terminal pngcairo size 1840,960 fontscale 1.7 linewidth 1.8 noenhanced } \
    else { set terminal pngcairo size 1480,1000 fontscale 1.7 linewidth 1.8 noenhanced }
} else {
    if (wide) { set terminal svg size 920,480 font 'DejaVu Sans,12' background 'white' noenhanced } \
    else { set terminal svg size 740,500 font 'DejaVu Sans,12' background 'white' noenhanced }
}
set output out

set grid lc rgb '#d0d0d0' lw 1 dt 1
set border lc rgb '#444444'
set tics nomirror
set style fill transparent solid 0.12 noborder
# Below the panels, where it covers nothing.
set key below horizontal samplen 3 spacing 1.1
if (wide) { set key font ',9' maxcols 2 } else { set key font ',10' maxcols 3 }
set xlabel offset 0,0.4

# Rows of summary.tsv: those of a storm, without controls, which were planted.
set datafile separator tab
set datafile columnheaders
under(storm) = stringcolumn('storm') eq storm && stringcolumn('variant') eq 'plain'
named(scheme) = stringcolumn('scheme') eq scheme
# Known-broken schemes are called that wherever they appear.
title_of(scheme) = place(broken, scheme) > 0 ? scheme . ' (broken)' : scheme

# Collected while a table is read.
schemes = ''; broken = ''
has(list, name) = place(list, name) > 0
note_scheme(name, is_broken) = ( \
    schemes = has(schemes, name) ? schemes : schemes . ' ' . name, \
    broken = !is_broken || has(broken, name) ? broken : broken . ' ' . name, 1)
numbers = ''
# The ends of what is measured: far apart, they need a logarithmic axis.
lowest = 1e300; highest = 0
note_value(value) = (lowest = value > 0 && value < lowest ? value : lowest, \
    highest = value > highest ? value : highest, 1)
FAR_APART = 40
note_number(value) = (numbers = has(numbers, value) ? numbers : numbers . ' ' . value, 1)
