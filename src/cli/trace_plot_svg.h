/* SPDX-License-Identifier: MIT */
/* What an SVG picture and the SVG inside a page have in common. */
#ifndef CUSTOS_CLI_TRACE_PLOT_SVG_H
#define CUSTOS_CLI_TRACE_PLOT_SVG_H

#include "cli/trace_plot.h"

struct trace_plot_svg {
	FILE *out;
	const struct trace_plot *plot;
	/* Cells say which they are: attributes data-c (index) and class:
	 * w, r, n (the reading in a written one), x (not done), pN. */
	bool with_cells;
};

/* The <svg> element. 0 or -errno. */
int trace_plot_svg_put(struct trace_plot_svg *svg);

/* For text and attribute values of XML and HTML. */
void trace_plot_svg_escape(FILE *out, const char *text);

#endif
