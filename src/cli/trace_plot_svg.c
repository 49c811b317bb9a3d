/* SPDX-License-Identifier: MIT */
/* Figures as SVG, alone. The page of trace_plot_html.c draws them too. */
#include <errno.h>
#include <math.h>

#include "cli/trace_plot_svg.h"

static void put_rect(void *ctx, const struct trace_plot_rect *r)
{
	static const char *const classes[] = { "", "r", "w", "x", "n" };
	struct trace_plot_svg *svg = ctx;

	fprintf(svg->out, "<rect x=\"%.6g\" y=\"%.6g\" width=\"%.4g\" "
			  "height=\"%.4g\" fill=\"#%06x\"",
		r->x, r->y, r->w < 0.5 ? 0.5 : r->w, r->h, r->rgb);
	if (r->alpha < 0.995)
		fprintf(svg->out, " fill-opacity=\"%.2f\"", r->alpha);
	if (svg->with_cells && r->role != PLOT_PLAIN)
		fprintf(svg->out, " class=\"%s p%u\" data-c=\"%zu\"",
			classes[r->role],
			trace_plot_cell_process(&svg->plot->cells[r->cell]),
			r->cell);
	fputs("/>\n", svg->out);
}

void trace_plot_svg_escape(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			putc(*text, out);
		}
}

static void put_text(void *ctx, double x, double y, double size,
	enum trace_plot_anchor anchor, uint32_t rgb, const char *text)
{
	static const char *const anchors[] = { "", " text-anchor=\"middle\"",
		" text-anchor=\"end\"" };
	struct trace_plot_svg *svg = ctx;

	fprintf(svg->out, "<text x=\"%.6g\" y=\"%.6g\" font-size=\"%.3g\" "
			  "fill=\"#%06x\"%s>",
		x, y, size, rgb, anchors[anchor]);
	trace_plot_svg_escape(svg->out, text);
	fputs("</text>\n", svg->out);
}

int trace_plot_svg_put(struct trace_plot_svg *svg)
{
	struct trace_plot_canvas canvas = { svg, put_rect, put_text };
	struct trace_plot_figure figure;
	char title[160];
	bool ok = trace_plot_figure_init(&figure, svg->plot);

	if (ok) {
		fprintf(svg->out,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" "
			"viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" "
			"height=\"%.0f\" role=\"img\" font-family=\""
			"ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,"
			"monospace\" xml:space=\"preserve\">\n<title>",
			figure.width, figure.height, figure.width,
			figure.height);
		trace_plot_text(svg->plot->title, 150, title, sizeof(title));
		trace_plot_svg_escape(svg->out, title);
		fputs("</title>\n", svg->out);
		trace_plot_figure_draw(&figure, &canvas);
		fputs("</svg>\n", svg->out);
	}
	trace_plot_figure_fini(&figure);
	return !ok ? -ENOMEM : ferror(svg->out) ? -EIO : 0;
}

int trace_plot_svg(const struct trace_plot *plot, FILE *out)
{
	struct trace_plot_svg svg = { .out = out, .plot = plot };

	return trace_plot_svg_put(&svg);
}
