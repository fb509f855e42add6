# Draws a figure that `faultaround plot --format gnuplot` has written, to be retouched: here in how
# it is drawn, in that file in what is drawn.
#
#   gnuplot -e "figure='RUN/plots/latency-none-1.gp'" plots/gnuplot/figure.gp
#   gnuplot -e "figure='...'; out='a.png'" plots/gnuplot/figure.gp
if (!exists("figure")) { exit error "give figure='FILE', of faultaround plot --format gnuplot" }
# The picture; an ending of .png gives pixels.
if (!exists("out")) { out = figure . '.svg' }

load figure

wide = panels > 1 ? 920 : 740
is_png = strlen(out) > 4 && out[strlen(out) - 3:] eq '.png'
if (is_png) {
    set terminal pngcairo size 2 * wide,1000 fontscale 1.7 linewidth 1.8 noenhanced
} else {
    set terminal svg size wide,500 font 'DejaVu Sans,12' background 'white' noenhanced
}
set output out

set grid lc rgb '#d0d0d0' lw 1 dt 1
set border lc rgb '#444444'
set tics nomirror
# Below the panels, where it covers nothing.
set key below horizontal samplen 3 spacing 1.1 font ',9' maxcols (panels > 1 ? 2 : 3)
set offsets graph 0.02, graph 0.02, 0, 0

# An axis: its scale and its ticks, which stand in the figure as gnuplot takes them.
scale(axis, kind) = \
    kind eq 'log' ? sprintf('set logscale %s; set %srange [*:*]', axis, axis) : \
    kind eq 'linear' ? sprintf('set %srange [*<0:*]', axis) : sprintf('set %srange [*:*]', axis)

# Series of a kind, by their numbers, which are those of their line types and of their blocks of
# points: x, y, low, high.
part(list, with) = words(list) == 0 ? '' : \
    sprintf(', for [s in "%s"] $points index (s - 1) %s', list, with)
BAR = 'using (0.5 * ($3 + $4)):2:(0.5 * ($4 - $3)):(0.3) with boxxyerror lt s + 0 '

heading = title
if (exists("subtitle")) { do for [line = 1:|subtitle|] { heading = heading . "\n" . subtitle[line] } }
set multiplot layout 1,panels title heading font ',8'
do for [panel = 1:panels] {
    unset logscale
    eval scale('x', x_scale[panel])
    eval 'set xtics ' . x_ticks[panel]
    eval 'set ytics ' . y_ticks[panel]
    if (rows[panel] > 0) { set yrange [rows[panel] + 0.5:0.5] } else { eval scale('y', y_scale[panel]) }
    set title panel_title[panel]
    set xlabel x_label[panel]
    set ylabel y_label[panel]
    drawn = part(bands[panel], 'using 1:3:4 with filledcurves lt s + 0 ' . \
                               'fs transparent solid 0.12 noborder notitle') . \
        part(bars[panel], BAR . 'fs solid border lc rgb "white" title names[s + 0]') . \
        part(hatched[panel], BAR . 'fs pattern 4 border lc rgb "white" title names[s + 0]') . \
        part(thin[panel], 'using 1:2 with lines lt s + 0 title names[s + 0]') . \
        part(curves[panel], 'using 1:2 with linespoints lt s + 0 ' . \
                            'pointinterval every[s + 0] ps 0.7 title names[s + 0]') . \
        part(dots[panel], 'using 1:2:3:4 with xerrorbars lt s + 0 dt 1 notitle')
    eval 'plot ' . drawn[3:]
}
unset multiplot
