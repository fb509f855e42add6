# Throughput and cost against the number of fault threads, intervals as bands; with a single
# number of threads, points with whiskers.
#
#   gnuplot -e "run='DIR'; storm='punch-hole'" plots/gnuplot/threads.gp
#
# Read: DIR/summary.tsv. Parameters, each as name=value in -e:
if (!exists("run")) { exit error "give run='DIR', the directory of a run" }
if (!exists("storm")) { storm = 'none' }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = sprintf('%s/gnuplot-threads-%s.svg', run, storm) }

summary = run . '/summary.tsv'
wide = 1
slash = 0
do for [it = 1:strlen(ARG0)] { if (ARG0[it:it] eq '/') { slash = it } }
here = ARG0[1:slash]
load here . 'common.gp'

collect(x) = under(storm) ? ( \
    note_scheme(stringcolumn('scheme'), stringcolumn('broken') eq 'true'), \
    note_number(stringcolumn('threads')), note_value(column('ns_per_page')), \
    note_value(column('ns_per_page_lo')), note_value(column('ns_per_page_hi')), 1) : 0
stats summary using (collect(0)) nooutput
if (words(schemes) == 0) { exit error sprintf('%s has nothing of storm %s', summary, storm) }

mine(scheme) = under(storm) && named(scheme)
measure(panel) = panel == 1 ? 'pages_per_s' : 'ns_per_page'
unit(panel) = panel == 1 ? 1e-6 : 1
array labels[2] = ['pages mapped (Mpages/s)', 'time in faults per page (ns)']

set yrange [0:*]
array titles[2] = ['throughput of all fault threads', 'cost']
if (words(numbers) == 1) {
    set multiplot layout 1,2 title sprintf('Throughput and cost, storm %s, %s fault thread(s)', \
                                           storm, word(numbers, 1))
    set xrange [0.5:words(schemes) + 0.5]
    unset key
    set xtics () rotate by -40
    do for [it = 1:words(schemes)] { set xtics add (title_of(word(schemes, it)) it) }
    do for [panel = 1:2] {
        name = measure(panel)
        set ylabel labels[panel]
        set title titles[panel]
        if (panel == 2 && highest > FAR_APART * lowest) { set logscale y; set yrange [*:*] }
        plot for [it = 1:words(schemes)] summary \
            using (mine(word(schemes, it)) ? it : NaN):(column(name) * unit(panel)): \
                  (column(name . '_lo') * unit(panel)):(column(name . '_hi') * unit(panel)) \
            with yerrorbars lt look(word(schemes, it)) dt 1 notitle
    }
} else {
    set multiplot layout 1,2 title sprintf('Throughput and cost against fault threads, storm %s', \
                                           storm)
    set xlabel 'fault threads'
    set xtics ()
    do for [it = 1:words(numbers)] { set xtics add (word(numbers, it) 1 * word(numbers, it)) }
    set offsets graph 0.04, graph 0.04, 0, 0
    # Controls and other storms between a curve's points would break it.
    set datafile missing NaN
    do for [panel = 1:2] {
        name = measure(panel)
        set ylabel labels[panel]
        set title titles[panel]
        if (panel == 2 && highest > FAR_APART * lowest) { set logscale y; set yrange [*:*] }
        plot for [it = 1:words(schemes)] summary \
                using (mine(word(schemes, it)) ? column('threads') : NaN): \
                      (column(name . '_lo') * unit(panel)):(column(name . '_hi') * unit(panel)) \
                with filledcurves lt look(word(schemes, it)) notitle, \
            for [it = 1:words(schemes)] summary \
                using (mine(word(schemes, it)) ? column('threads') : NaN): \
                      (column(name) * unit(panel)) \
                with linespoints lt look(word(schemes, it)) title title_of(word(schemes, it))
    }
}
unset multiplot
