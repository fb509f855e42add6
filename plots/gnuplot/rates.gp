# p99.9 of faults against the rate that the storm kept, over several runs.
#
#   gnuplot -e "runs='DIR1 DIR2 DIR3'; storm='punch-hole'; threads=1" plots/gnuplot/rates.gp
#
# Read: summary.tsv of each run; directories are parted by spaces, by rising rate. What has fewer
# than 10,000 faults has no p99.9. Parameters, each as name=value in -e:
if (!exists("runs")) { exit error "give runs='DIR DIR..', by rising rate of the storm" }
if (!exists("storm")) { storm = 'punch-hole' }
if (!exists("threads")) { threads = 1 }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = sprintf('%s/gnuplot-rates-%s-%d.svg', word(runs, 1), storm, threads) }
if (words(runs) < 2) { exit error "one run has one rate: it takes two at least" }

wide = 0
slash = 0
do for [it = 1:strlen(ARG0)] { if (ARG0[it:it] eq '/') { slash = it } }
here = ARG0[1:slash]
load here . 'common.gp'

mine(x) = under(storm) && column('threads') == threads \
    && stringcolumn('p999_ns') ne 'nan' && stringcolumn('remover_ops_per_s') ne 'nan'
collect(x) = mine(0) ? note_scheme(stringcolumn('scheme'), stringcolumn('broken') eq 'true') : 0
do for [it = 1:words(runs)] { stats word(runs, it) . '/summary.tsv' using (collect(0)) nooutput }
if (words(schemes) == 0) {
    exit error sprintf('no run has a p99.9 under %s with %d fault threads', storm, threads)
}

# A curve goes through files, so its points are put together first.
set table $points
do for [at = 1:words(schemes)] {
    do for [it = 1:words(runs)] {
        plot word(runs, it) . '/summary.tsv' \
            using (mine(0) && named(word(schemes, at)) ? at : NaN): \
                  'remover_ops_per_s':(column('p999_ns') / 1e3) with table
    }
}
unset table

set datafile nocolumnheaders
set datafile separator whitespace
set datafile missing NaN
set title sprintf('p99.9 of faults against the rate of %s, %d fault thread(s)', storm, threads)
set logscale xy
set format x '%.0s%c'
set xlabel 'storm (operations/s)'
set ylabel 'p99.9 of faults (µs)'
plot for [at = 1:words(schemes)] $points using ($1 == at ? $2 : NaN):3 \
    with linespoints lt look(word(schemes, at)) title title_of(word(schemes, at))
