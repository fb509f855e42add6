# Where the nanoseconds of a fault go, a stacked bar for each scheme.
#
#   faultaround breakdown --format tsv > steps.tsv
#   gnuplot -e "table='steps.tsv'" plots/gnuplot/breakdown.gp
#
# Parameters, each as name=value in -e:
if (!exists("table")) { exit error "give table='FILE', of faultaround breakdown --format tsv" }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = table . '.svg' }
# Steps with a smaller share of the fault go into one part.
if (!exists("share")) { share = 0.02 }

wide = 0
slash = 0
do for [it = 1:strlen(ARG0)] { if (ARG0[it:it] eq '/') { slash = it } }
here = ARG0[1:slash]
load here . 'common.gp'

# What was not told apart from nothing is in the rest.
counts(x) = stringcolumn('told_apart') eq 'true' && column('ns_per_fault') > 0
large(x) = counts(0) && column('share') >= share
steps = ''
collect(x) = (note_scheme(stringcolumn('scheme'), stringcolumn('broken') eq 'true'), \
    steps = large(0) && !has(steps, stringcolumn('step')) ? steps . ' ' . stringcolumn('step') : steps, 1)
stats table using (collect(0)) nooutput
if (words(schemes) == 0) { exit error sprintf('%s has no line with a scheme', table) }

many = words(steps)
kinds = many + 2
array ns[words(schemes) * kinds]
array total[words(schemes)]; array low[words(schemes)]; array high[words(schemes)]
do for [it = 1:words(schemes) * kinds] { ns[it] = 0 }
add(cell, value) = (ns[cell] = ns[cell] + value, 1)
part(scheme, kind) = (place(schemes, scheme) - 1) * kinds + kind
whole(at) = (total[at] = column('ns_per_fault'), low[at] = column('ns_lo'), high[at] = column('ns_hi'), 1)
fill(x) = counts(0) ? add(part(stringcolumn('scheme'), \
        large(0) ? place(steps, stringcolumn('step')) : many + 1), column('ns_per_fault')) : \
    (stringcolumn('step') eq 'total' ? whole(place(schemes, stringcolumn('scheme'))) : 0)
stats table using (fill(0)) nooutput
do for [at = 1:words(schemes)] {
    steps_ns = sum [kind = 1:many + 1] ns[(at - 1) * kinds + kind]
    ns[at * kinds] = total[at] > steps_ns ? total[at] - steps_ns : 0
}
up_to(at, kind) = kind == 0 ? 0 : sum [it = 1:kind] ns[(at - 1) * kinds + it]
name(kind) = kind <= many ? word(steps, kind) : kind == many + 1 ? 'other steps' : 'rest'

set datafile nocolumnheaders
set title 'What the steps of a fault cost, whiskers: the interval of the total'
set ylabel 'time per fault (ns)'
set yrange [0:*]
set xrange [0.4:words(schemes) + 0.6]
set xtics () rotate by -30
do for [at = 1:words(schemes)] { set xtics add (title_of(word(schemes, at)) at) }
set style fill solid 1 border lc rgb 'white'
# Dark and light of each, since there are more parts than colours that the colour-blind tell apart;
# what is left over is grey.
array colours[14] = [0x0072b2, 0xd55e00, 0x009e73, 0xe69f00, 0x56b4e9, 0xcc79a7, 0x404040, \
                     0x8fc3e3, 0xf0b48c, 0x8fd6bf, 0xf5d694, 0xbfe3f7, 0xe8c5d8, 0x808080]
colour(kind) = kind == kinds ? 0xc8c8c8 : kind == kinds - 1 ? 0x808080 : colours[(kind - 1) % 14 + 1]
set trange [1:words(schemes)]
set samples words(schemes)
plot for [kind = 1:kinds] '+' \
        using 1:(0.5 * (up_to($1, kind - 1) + up_to($1, kind))):(0.35) :(0.5 * ns[($1 - 1) * kinds + kind]) \
        with boxxyerror dt 1 lc rgb colour(kind) title name(kind), \
    '+' using 1:(total[$1]):(low[$1]):(high[$1]) \
        with yerrorbars lc rgb 'black' dt 1 pt 0 lw 2 notitle
