# Cost of a page against the window of fault-around, over several runs, intervals as bands.
#
#   gnuplot -e "runs='DIR4 DIR16 DIR64'; windows='4 16 64'; storm='punch-hole'; threads=1" \
#       plots/gnuplot/windows.gp
#
# Read: summary.tsv of each run, which doesn't have the window: it is given beside. Directories
# are parted by spaces. Parameters, each as name=value in -e:
if (!exists("runs") || !exists("windows")) {
    exit error "give runs='DIR DIR..' and windows='4 16..', as many of these"
}
if (!exists("storm")) { storm = 'none' }
if (!exists("threads")) { threads = 1 }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = sprintf('%s/gnuplot-windows-%s-%d.svg', word(runs, 1), storm, threads) }
if (words(runs) != words(windows) || words(runs) < 2) {
    exit error sprintf('%d runs and %d windows: it takes as many of each, and two at least', \
                       words(runs), words(windows))
}

wide = 0
slash = 0
do for [it = 1:strlen(ARG0)] { if (ARG0[it:it] eq '/') { slash = it } }
here = ARG0[1:slash]
load here . 'common.gp'

mine(x) = under(storm) && column('threads') == threads
collect(x) = mine(0) ? ( \
    note_scheme(stringcolumn('scheme'), stringcolumn('broken') eq 'true'), \
    note_value(column('ns_per_page')), note_value(column('ns_per_page_lo')), \
    note_value(column('ns_per_page_hi')), 1) : 0
do for [it = 1:words(runs)] { stats word(runs, it) . '/summary.tsv' using (collect(0)) nooutput }
if (words(schemes) == 0) {
    exit error sprintf('no run has anything of %s with %d fault threads', storm, threads)
}

# A curve goes through files, so its points are put together first.
set table $points
do for [at = 1:words(schemes)] {
    do for [it = 1:words(runs)] {
        plot word(runs, it) . '/summary.tsv' \
            using (mine(0) && named(word(schemes, at)) ? at : NaN):(1 * word(windows, it)): \
                  'ns_per_page':'ns_per_page_lo':'ns_per_page_hi' with table
    }
}
unset table

set datafile nocolumnheaders
set datafile separator whitespace
set datafile missing NaN
set title sprintf('Cost of a page against the window, storm %s, %d fault thread(s)', storm, threads)
set logscale x 2
set xlabel 'window (pages)'
set xtics ()
do for [it = 1:words(windows)] { set xtics add (word(windows, it) 1 * word(windows, it)) }
set offsets graph 0.04, graph 0.04, 0, 0
set ylabel 'time in faults per page (ns)'
if (highest > FAR_APART * lowest) { set logscale y } else { set yrange [0:*] }
plot for [at = 1:words(schemes)] $points using ($1 == at ? $2 : NaN):4:5 \
        with filledcurves lt look(word(schemes, at)) notitle, \
    for [at = 1:words(schemes)] $points using ($1 == at ? $2 : NaN):3 \
        with linespoints lt look(word(schemes, at)) title title_of(word(schemes, at))
