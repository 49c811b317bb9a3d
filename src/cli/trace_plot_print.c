/* SPDX-License-Identifier: MIT */
/*
 * Figures of characters, for terminals. With colours a process is a colour and
 * blocks say what it did; without them letters say both: capitals wrote.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "cli/trace_plot.h"

#define NAME_WIDTH 18u
#define OFFSET_WIDTH 9u
#define LEFT (NAME_WIDTH + OFFSET_WIDTH + 2)

struct printer {
	const struct trace_plot *plot;
	const struct trace_plot_terminal *terminal;
	FILE *out;
	uint64_t peak;
	size_t next; /* cell to print */
	bool letters;
};

uint32_t trace_plot_print_columns(const struct trace_plot_terminal *terminal)
{
	return terminal->columns > LEFT + 10 ? terminal->columns - LEFT - 1 :
					       10;
}

/* ---- cells ---- */

/* What all processes did in one place: the busiest one's colour. */
static struct trace_plot_cell take_cell(struct printer *p)
{
	const struct trace_plot_cell *cells = p->plot->cells;
	struct trace_plot_cell sum = cells[p->next];
	uint64_t most = sum.loads + sum.stores;

	for (p->next++; p->next < p->plot->cell_count &&
		cells[p->next].key >> 8 == sum.key >> 8;
		p->next++) {
		const struct trace_plot_cell *c = &cells[p->next];

		sum.loads += c->loads;
		sum.stores += c->stores;
		if (c->loads + c->stores > most) {
			most = c->loads + c->stores;
			sum.key = c->key;
		}
	}
	return sum;
}

static const char *block(
	const struct printer *p, const struct trace_plot_cell *c)
{
	uint64_t count = c->stores ? c->stores : c->loads;
	bool many = p->peak > 1 && count > p->peak / 4;

	if (c->stores)
		return many || p->peak == 1 ? "\u2588" : "\u2593";
	return many ? "\u2592" : "\u2591";
}

static void put_cell(const struct printer *p, const struct trace_plot_cell *c)
{
	uint32_t process = trace_plot_cell_process(c);

	if (p->letters) {
		putc((c->stores ? 'A' : 'a') + (int)process, p->out);
		return;
	}
	if (p->terminal->colour)
		fprintf(p->out, "\033[38;5;%um%s\033[0m",
			trace_plot_palette256[process], block(p, c));
	else
		fputs(block(p, c), p->out);
}

static void print_cells(struct printer *p, uint32_t band, uint32_t row)
{
	uint64_t line = trace_plot_key(band, row, 0, 0) >> 20;
	uint32_t column = 0;

	while (p->next < p->plot->cell_count &&
		p->plot->cells[p->next].key >> 20 == line) {
		struct trace_plot_cell c = take_cell(p);

		for (; column < trace_plot_cell_column(&c); column++)
			putc(' ', p->out);
		put_cell(p, &c);
		column++;
	}
	for (; column < p->plot->columns; column++)
		putc(' ', p->out);
}

static void print_band(struct printer *p, uint32_t index)
{
	const struct trace_plot_band *band = &p->plot->bands[index];
	const char *edge = p->terminal->ascii ? "|" : "\u2502";
	char name[32], size[24];

	for (uint32_t row = 0; row < band->rows; row++) {
		name[0] = '\0';
		if (!row)
			trace_plot_text(band->range->name, NAME_WIDTH, name,
				sizeof(name));
		trace_plot_size(band->length, size, sizeof(size));
		if (row == 1)
			snprintf(name, sizeof(name), " %s", size);
		snprintf(size, sizeof(size), "+0x%" PRIx64,
			band->offset + ((uint64_t)row << band->shift));
		fprintf(p->out, "%-*s %*s%s", (int)NAME_WIDTH, name,
			(int)OFFSET_WIDTH, size, edge);
		print_cells(p, index, row);
		fprintf(p->out, "%s\n", edge);
	}
}

/* ---- around them ---- */

static void print_axis(struct printer *p)
{
	unsigned width = p->plot->columns, shown = 0;
	struct trace_plot_axis axis;
	char text[48];

	trace_plot_axis_make(p->plot, width / 14 + 1, &axis);
	fprintf(p->out, "%*s", (int)LEFT, "");
	for (uint64_t at = axis.first; width && at < axis.end;
		at += axis.step) {
		unsigned column =
			(unsigned)((at - p->plot->start) /
				p->plot->column_width);

		trace_plot_axis_label(&axis, at, text, sizeof(text));
		if ((!shown || column > shown) &&
			column + strlen(text) + 1 <= width + 8) {
			shown += (unsigned)fprintf(p->out, "%*s%s%s",
				(int)(column - shown), "",
				p->terminal->ascii ? "^" : "\u2514", text);
			if (!p->terminal->ascii)
				shown -= 2; /* bytes of one character */
		}
		if (axis.end - at <= axis.step)
			break;
	}
	fprintf(p->out, "\n%*s%s\n", (int)LEFT, "", axis.title);
}

static void print_legend(struct printer *p)
{
	char name[64];

	for (uint32_t i = 0; i < p->plot->process_count; i++) {
		trace_plot_process_name(p->plot, i, 28, name, sizeof(name));
		if (p->letters)
			fprintf(p->out, "%c %s   ", 'A' + (int)i, name);
		else if (p->terminal->colour)
			fprintf(p->out, "\033[38;5;%um\u2588\033[0m %s   ",
				trace_plot_palette256[i], name);
		else
			fprintf(p->out, "%s   ", name);
	}
	fputs(p->letters ? "(capitals: wrote, small: only read)\n" :
			   "\u2591\u2592 read   \u2593\u2588 written\n",
		p->out);
}

int trace_plot_print(const struct trace_plot *plot,
	const struct trace_plot_terminal *terminal, FILE *out)
{
	struct printer p = { .plot = plot,
		.terminal = terminal,
		.out = out,
		.peak = trace_plot_peak(plot),
		.letters = terminal->ascii ||
			(!terminal->colour && plot->process_count > 1) };
	struct buf summary = BUF_INIT;
	char title[256];

	trace_plot_text(plot->title, terminal->columns, title, sizeof(title));
	trace_plot_summary(plot, &summary);
	fprintf(out, "%s\n%s\n", title, buf_str(&summary));
	buf_fini(&summary);
	if (!plot->cell_count) {
		fputs("nothing here: no access selected\n", out);
		return ferror(out) ? -EIO : 0;
	}
	print_legend(&p);
	for (uint32_t i = 0; i < plot->band_count; i++)
		print_band(&p, i);
	print_axis(&p);
	return ferror(out) ? -EIO : 0;
}
