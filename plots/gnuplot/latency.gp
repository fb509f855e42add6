# Latency by percentile of one load: faults, and the remover beside them.
#
#   gnuplot -e "run='DIR'; storm='punch-hole'; threads=1" plots/gnuplot/latency.gp
#
# Read: DIR/summary.tsv for the schemes, DIR/<storm>-<threads>-<scheme>-{faults,remover}.hgrm.
# Parameters, each as name=value in -e:
if (!exists("run")) { exit error "give run='DIR', the directory of a run" }
if (!exists("storm")) { storm = 'none' }
if (!exists("threads")) { threads = 1 }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = sprintf('%s/gnuplot-latency-%s-%d.svg', run, storm, threads) }

summary = run . '/summary.tsv'
wide = 1
slash = 0
do for [it = 1:strlen(ARG0)] { if (ARG0[it:it] eq '/') { slash = it } }
here = ARG0[1:slash]
load here . 'common.gp'

# A percentile needs 10 samples beyond it, the median 20 in all.
removers = ''
again = ''
collect(x) = under(storm) && column('threads') == threads && column('samples') >= 20 ? ( \
    note_scheme(stringcolumn('scheme'), stringcolumn('broken') eq 'true'), \
    removers = column('remover_samples') >= 20 && !has(removers, stringcolumn('scheme')) \
        ? removers . ' ' . stringcolumn('scheme') : removers, \
    again = column('aa_ratio') > 0 ? word(schemes, 1) : again, 1) : 0
stats summary using (collect(0)) nooutput
if (words(schemes) == 0) {
    exit error sprintf('%s has nothing of %s with %d fault threads', summary, storm, threads)
}

set datafile nocolumnheaders
set datafile separator whitespace
file(scheme, variant, side) = sprintf('%s/%s-%d-%s%s%s-%s.hgrm', run, storm, threads, scheme, \
                                      has(broken, scheme) ? '-broken' : '', variant, side)
# Column 4 is 1/(1 - percentile): the axis on which each further nine takes as much place.
beyond(inverse, samples) = inverse <= samples / 10.0

set logscale xy
set xlabel 'percentile'
set xtics ('0' 1, '50' 2, '90' 10, '99' 100, '99.9' 1e3, '99.99' 1e4, '99.999' 1e5, '99.9999' 1e6)
set ylabel 'latency'
set ytics ('10 ns' 10, '100 ns' 100, '1 µs' 1e3, '10 µs' 1e4, '100 µs' 1e5, '1 ms' 1e6, \
    '10 ms' 1e7, '100 ms' 1e8, '1 s' 1e9)
do for [ten = 1:9] { set ytics add ('' 2 * 10.0**ten 1, '' 5 * 10.0**ten 1) }

panels = words(removers) > 0 ? 2 : 1
set multiplot layout 1,panels title sprintf('Latency, storm %s, %d fault thread(s)', storm, threads)
do for [panel = 1:panels] {
    side = panel == 1 ? 'faults' : 'remover'
    list = panel == 1 ? schemes : removers
    array samples[words(list) + 1]
    do for [it = 1:words(list)] {
        stats file(word(list, it), '', side) using 3 nooutput
        samples[it] = STATS_max
    }
    aa = has(list, again) ? again : ''
    if (aa ne '') {
        stats file(aa, '-again', side) using 3 nooutput
        samples[words(list) + 1] = STATS_max
    }
    set title side
    plot for [it = 1:words(aa)] file(aa, '-again', side) \
            using (beyond($4, samples[words(list) + 1]) ? $4 : NaN):1 \
            with lines lt 20 title aa . ' A/A', \
        for [it = 1:words(list)] file(word(list, it), '', side) \
            using (beyond($4, samples[it]) ? $4 : NaN):1 \
            with linespoints lt look(word(list, it)) pointinterval 12 ps 0.7 \
            title title_of(word(list, it))
}
unset multiplot
