/* SPDX-License-Identifier: MIT */
/* Ticks, and words for a figure. */
#include <inttypes.h>
#include <string.h>

#include "base/checked.h"
#include "cli/trace_plot.h"

static const struct unit {
	uint64_t ns;
	const char *name;
} units[] = { { 1000000000, "s" }, { 1000000, "ms" }, { 1000, "us" },
	{ 1, "ns" } };

/* 1, 2 or 5 times a power of ten, at least least. */
static uint64_t round_step(uint64_t least)
{
	uint64_t ten = 1;

	while (ten < least && ten <= UINT64_MAX / 100)
		ten *= 10;
	if (ten >= 10 && ten / 5 >= least)
		return ten / 5;
	if (ten >= 10 && ten / 2 >= least)
		return ten / 2;
	return ten;
}

static const struct unit *find_unit(uint64_t ns)
{
	size_t i = 0;

	while (i < 3 && ns < units[i].ns)
		i++;
	return &units[i];
}

static void say_title(const struct trace_plot *plot,
	struct trace_plot_axis *axis, const char *unit)
{
	char base[40];
	size_t len;

	if (plot->by_number) {
		snprintf(axis->title, sizeof(axis->title), "access number");
		return;
	}
	if (!axis->base) {
		snprintf(axis->title, sizeof(axis->title),
			"time since the run began, in %s", unit);
		return;
	}
	snprintf(base, sizeof(base), "%" PRIu64 ".%09" PRIu64,
		axis->base / units[0].ns, axis->base % units[0].ns);
	for (len = strlen(base); base[len - 1] == '0' && base[len - 2] != '.';
		len--)
		base[len - 1] = '\0';
	snprintf(axis->title, sizeof(axis->title),
		"time after second %s of the run, in %s", base, unit);
}

void trace_plot_axis_make(const struct trace_plot *plot, unsigned ticks,
	struct trace_plot_axis *out)
{
	uint64_t span, least;
	const struct unit *unit;

	*out = (struct trace_plot_axis){ .unit = 1, .end = UINT64_MAX };
	if (!checked_mul(plot->columns, plot->column_width, &span) ||
		!checked_add(plot->start, span, &out->end)) {
		out->end = UINT64_MAX;
		span = UINT64_MAX - plot->start;
	}
	least = span / (ticks ? ticks : 1) + (span % (ticks ? ticks : 1) != 0);
	out->step = round_step(least ? least : 1);
	out->first = plot->start / out->step * out->step;
	if (!plot->by_number && plot->start / 20 > span)
		out->base = out->first;
	if (out->first < plot->start &&
		!checked_add(out->first, out->step, &out->first))
		out->first = out->end;
	unit = find_unit(out->end - out->base);
	if (!plot->by_number)
		out->unit = unit->ns;
	for (uint64_t u = out->unit; u > 1 && out->step % u; u /= 10)
		out->decimals++;
	say_title(plot, out, unit->name);
}

void trace_plot_axis_label(const struct trace_plot_axis *axis, uint64_t at,
	char *out, size_t size)
{
	uint64_t value = at - axis->base, fraction = value % axis->unit;

	for (uint64_t u = axis->unit, i = 0; u > 1; u /= 10, i++)
		if (i >= (uint64_t)axis->decimals)
			fraction /= 10;
	if (axis->decimals)
		snprintf(out, size, "%" PRIu64 ".%0*" PRIu64,
			value / axis->unit, axis->decimals, fraction);
	else
		snprintf(out, size, "%" PRIu64, value / axis->unit);
}

/* ---- words ---- */

void trace_plot_text(const char *text, size_t width, char *out, size_t size)
{
	size_t len = strlen(text), kept;

	if (width > size - 1)
		width = size - 1;
	kept = len > width ? width - 2 : len;
	for (size_t i = 0; i < kept; i++)
		out[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	if (len > width) {
		out[kept++] = '.';
		out[kept++] = '.';
	}
	out[kept] = '\0';
}

void trace_plot_process_name(const struct trace_plot *plot, uint32_t process,
	size_t width, char *out, size_t size)
{
	const struct trace_plot_process *p = &plot->processes[process];
	char number[24] = "", name[64];
	bool others = plot->others && process == plot->process_count - 1;

	if (others)
		snprintf(number, sizeof(number), " (%zu)", plot->others);
	else if (p->id)
		snprintf(number, sizeof(number), " #%" PRIu64, p->id);
	trace_plot_text(p->name,
		width > strlen(number) + 3 ? width - strlen(number) : 3, name,
		sizeof(name));
	snprintf(out, size, "%s%s", name, number);
}

void trace_plot_size(uint64_t bytes, char *out, size_t size)
{
	static const char *const names[] = { "bytes", "KiB", "MiB", "GiB",
		"TiB", "PiB", "EiB" };
	size_t i = 0;
	uint64_t unit = 1;

	while (i < 6 && bytes / unit >= 1024 && (bytes / unit >= 10240 ||
							bytes % (unit * 1024) == 0)) {
		unit *= 1024;
		i++;
	}
	if (bytes % unit)
		snprintf(out, size, "%.1f %s", (double)bytes / (double)unit,
			names[i]);
	else
		snprintf(out, size, "%" PRIu64 " %s", bytes / unit,
			bytes == 1 ? "byte" : names[i]);
}

static void add_count(struct buf *out, uint64_t count, const char *one,
	const char *many)
{
	char digits[24];
	size_t len;

	len = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0 && len > 4)
			buf_add_char(out, ' ');
		buf_add_char(out, digits[i]);
	}
	buf_printf(out, " %s", count == 1 ? one : many);
}

static void add_duration(struct buf *out, uint64_t ns)
{
	const struct unit *unit = find_unit(ns);

	buf_printf(out, unit->ns == 1 ? "%.0f %s" : "%.3g %s",
		(double)ns / (double)unit->ns, unit->name);
}

void trace_plot_summary(const struct trace_plot *plot, struct buf *out)
{
	size_t processes = plot->process_count;

	if (plot->others)
		processes += plot->others - 1;
	add_count(out, plot->accesses, "access", "accesses");
	buf_add_str(out, " (");
	add_count(out, plot->loads, "read", "reads");
	buf_add_str(out, ", ");
	add_count(out, plot->stores, "write", "writes");
	if (plot->refused) {
		buf_add_str(out, "; ");
		add_count(out, plot->refused, "not done", "not done");
	}
	buf_add_str(out, ") by ");
	add_count(out, processes, "process", "processes");
	buf_add_str(out, " to ");
	add_count(out, plot->band_count, "range", "ranges");
	buf_add_str(out, " in ");
	add_duration(out, plot->last_ns - plot->first_ns);
	if (plot->untouched) {
		buf_add_str(out, "; ");
		add_count(out, plot->untouched, "range", "ranges");
		buf_add_str(out, " never touched");
	}
	if (plot->bands_beyond) {
		buf_add_str(out, "; ");
		add_count(out, plot->bands_beyond, "quieter range",
			"quieter ranges");
		buf_add_str(out, " not shown");
	}
}
