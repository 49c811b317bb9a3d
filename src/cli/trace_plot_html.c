/* SPDX-License-Identifier: MIT */
/*
 * A figure with what is known about its cells, in one page that asks nobody
 * for anything: its own policy forbids it.
 *
 * Names come from the trace and are hostile: in the data they are JSON strings
 * without `<', in the figure escaped.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/trace_plot_svg.h"

static const char head[] =
	"<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
	"<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
	"'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width\">\n<title>";

static const char body[] =
	"</head>\n<body>\n<form id=\"bar\" aria-label=\"filters\">\n"
	"<span id=\"processes\"></span>\n"
	"<span><label><input type=\"checkbox\" id=\"reads\" checked> reads"
	"</label>\n"
	"<label><input type=\"checkbox\" id=\"writes\" checked> writes</label>"
	"</span>\n"
	"<input type=\"search\" id=\"words\" placeholder=\"range, function, "
	"file:line\" aria-label=\"only this range, function or line\">\n"
	"<output id=\"left\"></output>\n"
	"<button type=\"button\" id=\"whole\" disabled>whole picture</button>\n"
	"<output id=\"view\"></output>\n</form>\n<main id=\"picture\">\n";

static const char tail[] =
	"</main>\n<div id=\"tip\" hidden></div>\n"
	"<section id=\"who\" aria-live=\"polite\">Point at a place to see what "
	"happened there; click to see who did it. The wheel, + and - go closer "
	"and away, a rectangle drawn with the pointer fills the picture, a "
	"double click shows all of it again.</section>\n";

static void put_json(FILE *out, const char *text)
{
	struct buf json = BUF_INIT;

	text = text ? text : "";
	buf_add_json(&json, text, strlen(text));
	/* No name ends the script. */
	for (const char *c = buf_str(&json); *c; c++)
		if (*c == '<')
			fputs("\\u003c", out);
		else
			putc(*c, out);
	buf_fini(&json);
}

static void put_bands(const struct trace_plot_figure *f, FILE *out)
{
	fputs("bands:[", out);
	for (size_t i = 0; i < f->plot->band_count; i++) {
		const struct trace_plot_band *b = &f->plot->bands[i];

		fputs("\n{name:", out);
		put_json(out, b->range->name);
		fprintf(out,
			",device:%s,address:%" PRIu64 "n,offset:%" PRIu64
			"n,length:%" PRIu64 "n,shift:%un,rows:%" PRIu32
			",top:%.6g,height:%.6g},",
			b->range->device ? "true" : "false", b->range->address,
			b->offset, b->length, b->shift, b->rows,
			f->band_top[i], f->band_height[i]);
	}
	fputs("],\n", out);
}

static void put_processes(const struct trace_plot *plot, FILE *out)
{
	char name[64];

	fputs("processes:[", out);
	for (uint32_t i = 0; i < plot->process_count; i++) {
		trace_plot_process_name(plot, i, 60, name, sizeof(name));
		fputs("{name:", out);
		put_json(out, name);
		fprintf(out, ",colour:\"#%06x\"},", trace_plot_palette[i]);
	}
	fputs("],\n", out);
}

/* [band, row, column, process, reads, writes, not done, first, last, site] */
static void put_cells(const struct trace_plot *plot, FILE *out)
{
	fputs("cells:[\n", out);
	for (size_t i = 0; i < plot->cell_count; i++) {
		const struct trace_plot_cell *c = &plot->cells[i];

		fprintf(out,
			"[%" PRIu32 ",%" PRIu32 ",%" PRIu32 ",%" PRIu32
			",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
			",%" PRIu64 ",%" PRIu32 "],\n",
			trace_plot_cell_band(c), trace_plot_cell_row(c),
			trace_plot_cell_column(c), trace_plot_cell_process(c),
			c->loads, c->stores, c->refused, c->first, c->last,
			c->site);
	}
	fputs("],\n", out);
}

/* Each site that is named, at least once. */
static void put_sites(
	const struct trace_plot *plot, struct trace_query *q, FILE *out)
{
	uint32_t last = UINT32_MAX;

	fputs("sites:{", out);
	for (size_t i = 0; i < plot->cell_count; i++) {
		const struct trace_site *site = trace_reader_site(
			q->reader, plot->cells[i].site);

		if (!site || plot->cells[i].site == last)
			continue;
		last = plot->cells[i].site;
		fprintf(out, "\n%" PRIu32 ":[", last);
		put_json(out, site->symbol);
		putc(',', out);
		put_json(out, site->line);
		putc(',', out);
		put_json(out, site->text);
		fputs("],", out);
	}
	fputs("},\n", out);
}

static void put_data(const struct trace_plot_figure *f, struct trace_query *q,
	FILE *out)
{
	const struct trace_plot *plot = f->plot;

	fprintf(out,
		"<script>\n\"use strict\"\nconst plot = {byNumber:%s,"
		"start:%" PRIu64 "n,each:%" PRIu64 "n,columns:%" PRIu32
		",left:%.6g,width:%.6g,\nfile:",
		plot->by_number ? "true" : "false", plot->start,
		plot->column_width, plot->columns, f->left, f->plot_width);
	put_json(out, plot->file);
	fputs(",\n", out);
	put_processes(plot, out);
	put_bands(f, out);
	put_cells(plot, out);
	put_sites(plot, q, out);
	fputs("}\n", out);
	fputs(trace_plot_page_script, out);
	fputs("</script>\n", out);
}

int trace_plot_html(
	const struct trace_plot *plot, struct trace_query *q, FILE *out)
{
	struct trace_plot_svg svg = { out, plot, true };
	struct trace_plot_figure figure;
	char title[160];
	int ret = -ENOMEM;

	if (trace_plot_figure_init(&figure, plot)) {
		fputs(head, out);
		trace_plot_text(plot->title, 150, title, sizeof(title));
		trace_plot_svg_escape(out, title);
		fprintf(out, "</title>\n<style>\n%s</style>\n%s",
			trace_plot_page_style, body);
		ret = trace_plot_svg_put(&svg);
		fputs(tail, out);
		put_data(&figure, q, out);
		fputs("</body>\n</html>\n", out);
	}
	trace_plot_figure_fini(&figure);
	return ret ? ret : ferror(out) ? -EIO : 0;
}
