/* SPDX-License-Identifier: MIT */
/* The summary at the end of a run, as lines for people or as JSON. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/stats.h"

#define RANGES_LISTED 20 /* lines for people */

struct printer {
	struct stats *stats;
	const struct range_set *ranges;
	const struct trace_names *names;
	const struct stats_numbers *numbers;
	struct stats_site *sites;
	size_t site_count, sites_max;
	uint64_t others;
	struct buf word;
	struct buf *out;
};

/* ---- names ---- */

/* Each leaves the name in p->word; empty when there is none. */
static const struct buf *name_symbol(
	struct printer *p, const struct stats_site *site)
{
	buf_reset(&p->word);
	if (p->names && p->names->symbol)
		p->names->symbol(
			p->names->ctx, site->process, site->ip, &p->word);
	return &p->word;
}

static const struct buf *name_line(
	struct printer *p, const struct stats_site *site)
{
	buf_reset(&p->word);
	if (p->names && p->names->line)
		p->names->line(
			p->names->ctx, site->process, site->ip, &p->word);
	return &p->word;
}

static const struct buf *name_text(
	struct printer *p, const struct stats_site *site)
{
	buf_reset(&p->word);
	if (p->names && p->names->text && site->insn_len)
		p->names->text(p->names->ctx, site->insn, site->insn_len,
			site->ip, &p->word);
	return &p->word;
}

/* ---- for people ---- */

static void text_counts(struct buf *out, const struct stats_totals *totals)
{
	const char *separator = " (";

	for (int i = 0; i < ACCESS_KIND_MAX; i++) {
		if (!totals->kinds[i])
			continue;
		buf_printf(out, "%s%" PRIu64 " %s", separator,
			totals->kinds[i],
			access_kind_name((enum access_kind)i));
		separator = ", ";
	}
	if (totals->accesses)
		buf_add_char(out, ')');
}

static void text_outcomes(struct buf *out, const struct stats_totals *totals)
{
	const char *separator = "";

	buf_add_str(out, "outcomes      ");
	for (int i = 0; i < OUTCOME_MAX; i++) {
		if (!totals->outcomes[i])
			continue;
		buf_printf(out, "%s%" PRIu64 " %s", separator,
			totals->outcomes[i], outcome_name((enum outcome)i));
		separator = ", ";
	}
	buf_add_str(out, *separator ? "\n" : "none\n");
}

static void text_numbers(struct buf *out, const struct stats_numbers *n)
{
	buf_printf(out, "page-mates    %" PRIu64 "\n", n->page_mates);
	buf_printf(out, "waited        %" PRIu64 "\n", n->waits);
	if (n->steps)
		buf_printf(out, "steps         %" PRIu64 "\n", n->steps);
	if (n->holds) {
		buf_printf(out, "held          %" PRIu64, n->holds);
		if (n->still_held)
			buf_printf(out, ", %" PRIu64 " %s", n->still_held,
				n->running ? "still held" : "never resumed");
		buf_add_char(out, '\n');
	}
	if (n->keeper_errors)
		buf_printf(out, "keeper errors %" PRIu64 "\n",
			n->keeper_errors);
	if (n->checked)
		buf_printf(out, "missed        %" PRIu64, n->missed);
	else
		buf_add_str(out, "missed        not checked");
	if (n->missed_why[0])
		buf_printf(out, " (%s)", n->missed_why);
	buf_add_char(out, '\n');
}

/* ---- keepers ---- */

#define KEEPERS_MAX 256

/* The keepers of all ranges, each once, in the order they were added. */
static size_t list_keepers(
	const struct range_set *ranges, const struct keeper **out)
{
	size_t count = 0, range_count = ranges ? range_set_count(ranges) : 0;

	for (size_t i = 0; i < range_count; i++) {
		const struct range *range = range_set_get(ranges, i);

		for (unsigned n = 0; n < range->link_count; n++) {
			const struct keeper *keeper = range->links[n].keeper;
			size_t at = 0;

			while (at < count && out[at] != keeper)
				at++;
			if (at == count && count < KEEPERS_MAX)
				out[count++] = keeper;
		}
	}
	return count;
}

static uint64_t asked_of(const struct keeper *keeper)
{
	return __atomic_load_n(&keeper->asked, __ATOMIC_RELAXED);
}

static uint64_t ticks_of(const struct keeper *keeper)
{
	return __atomic_load_n(&keeper->ticks, __ATOMIC_RELAXED);
}

/* ": 1234 ns each, 0.50 ms, 1.2 % of the run" */
static void text_time(const struct printer *p, uint64_t ticks, uint64_t count)
{
	double ns = (double)ticks * p->numbers->ns_per_tick;

	buf_printf(p->out, "; %.0f ns each, %.2f ms",
		count ? ns / (double)count : 0.0, ns / 1e6);
	if (p->numbers->seconds > 0)
		buf_printf(p->out, ", %.1f %% of the run",
			ns / 1e7 / p->numbers->seconds);
}

static bool is_timed(const struct printer *p)
{
	return p->numbers && p->numbers->ns_per_tick > 0;
}

static void text_keepers(struct printer *p)
{
	const struct keeper *keepers[KEEPERS_MAX];
	size_t count = list_keepers(p->ranges, keepers);

	/* The one that lets all pass has nothing to tell but its cost. */
	if (!is_timed(p) && (!count || (count == 1 &&
			!strcmp(keepers[0]->ops->name, "pass"))))
		return;
	buf_add_str(p->out, "keepers\n");
	for (size_t i = 0; i < count; i++) {
		uint64_t asked = asked_of(keepers[i]);

		buf_add_str(p->out, "  ");
		trace_add_clean(p->out, keepers[i]->ops->name,
			strlen(keepers[i]->ops->name));
		buf_printf(p->out, ": asked %" PRIu64, asked);
		if (keepers[i]->failed)
			buf_printf(p->out, ", failed %" PRIu64,
				keepers[i]->failed);
		if (is_timed(p))
			text_time(p, ticks_of(keepers[i]), asked);
		buf_add_char(p->out, '\n');
	}
}

static const char *const trap_names[] = {
	[STATS_TRAP_USEFUL] = "useful",
	[STATS_TRAP_MATE] = "page_mate",
	[STATS_TRAP_SPURIOUS] = "spurious",
};
_Static_assert(sizeof(trap_names) / sizeof(trap_names[0]) == STATS_TRAP_MAX,
	"a name for every trap");

static void text_traps(struct printer *p)
{
	if (!is_timed(p))
		return;
	buf_add_str(p->out, "traps\n");
	for (int i = 0; i < STATS_TRAP_MAX; i++) {
		uint64_t count = p->numbers->traps[i];

		buf_printf(p->out, "  %s: %" PRIu64, trap_names[i], count);
		text_time(p, p->numbers->trap_ticks[i], count);
		buf_add_char(p->out, '\n');
	}
}

/* Who answered what in a range, when there is a choice. */
static void text_links(struct printer *p, const struct range *range)
{
	for (unsigned i = 0; i < range->link_count; i++) {
		const struct range_link *link = &range->links[i];

		if (range->link_count == 1 && !link->filter)
			continue;
		buf_printf(p->out, "    %s: asked %" PRIu64,
			link->keeper->ops->name, link->asked);
		if (link->filter)
			buf_printf(p->out, ", left out %" PRIu64,
				link->filtered);
		buf_add_char(p->out, '\n');
	}
}

static void text_range(struct printer *p, const struct range *range)
{
	struct stats_totals totals;

	stats_get_range(p->stats, range->id, &totals);
	buf_add_str(p->out, "  ");
	trace_add_clean(p->out, range->name, strlen(range->name));
	buf_printf(p->out, ": %" PRIu64, totals.accesses);
	text_counts(p->out, &totals);
	buf_add_char(p->out, '\n');
	text_links(p, range);
}

/* Of one range with one keeper that is asked about all, the totals say it. */
static bool is_plain(const struct range *range)
{
	return range->link_count == 1 && !range->links[0].filter;
}

static void text_ranges(struct printer *p)
{
	size_t count = p->ranges ? range_set_count(p->ranges) : 0;

	if (!count || (count == 1 && is_plain(range_set_get(p->ranges, 0))))
		return;
	buf_add_str(p->out, "ranges\n");
	for (size_t i = 0; i < count && i < RANGES_LISTED; i++)
		text_range(p, range_set_get(p->ranges, i));
	if (count > RANGES_LISTED)
		buf_printf(p->out, "  and %zu more\n", count - RANGES_LISTED);
}

/* A count in its column, a dot for none. */
static void text_cell(struct buf *out, uint64_t count)
{
	if (count)
		buf_printf(out, " %8" PRIu64, count);
	else
		buf_printf(out, " %8s", ".");
}

static void text_site(struct printer *p, const struct stats_site *site)
{
	const struct buf *word;
	uint64_t copies = 0;

	for (int i = ACCESS_IPC_SRC; i < ACCESS_KIND_MAX; i++)
		copies += site->kinds[i];
	text_cell(p->out, site->count);
	for (int i = ACCESS_LOAD; i <= ACCESS_FETCH; i++)
		text_cell(p->out, site->kinds[i]);
	text_cell(p->out, copies);
	buf_printf(p->out, "  %" PRIu64 "..%" PRIu64 "  ", site->first_seq,
		site->last_seq);
	trace_add_clean(p->out, site->process_name,
		strlen(site->process_name));
	buf_printf(p->out, ": 0x%" PRIx64, site->ip);
	word = name_symbol(p, site);
	if (word->len && strncmp(word->data, "0x", 2)) {
		buf_add_char(p->out, ' ');
		trace_add_clean(p->out, word->data, word->len);
	}
	word = name_line(p, site);
	if (word->len) {
		buf_add_str(p->out, " (");
		trace_add_clean(p->out, word->data, word->len);
		buf_add_char(p->out, ')');
	}
	word = name_text(p, site);
	if (word->len) {
		buf_add_str(p->out, "  ");
		trace_add_clean(p->out, word->data, word->len);
	}
	buf_add_char(p->out, '\n');
}

static void text_sites(struct printer *p)
{
	size_t shown = p->site_count;

	if (!shown)
		return;
	if (p->sites_max && shown > p->sites_max)
		shown = p->sites_max;
	buf_printf(p->out, "instructions  %zu distinct\n", p->site_count);
	buf_printf(p->out, " %8s %8s %8s %8s %8s %8s  %s\n", "count", "load",
		"store", "rmw", "fetch", "copy", "first..last  where");
	for (size_t i = 0; i < shown; i++)
		text_site(p, &p->sites[i]);
	if (shown < p->site_count)
		buf_printf(p->out, "  and %zu more instructions\n",
			p->site_count - shown);
	if (p->others)
		buf_printf(p->out,
			"  and %" PRIu64 " accesses of instructions beyond "
			"the first %d\n", p->others, STATS_SITES_MAX);
}

static void print_text(struct printer *p)
{
	struct stats_totals totals;

	stats_get_totals(p->stats, &totals);
	buf_printf(p->out, "accesses      %" PRIu64, totals.accesses);
	text_counts(p->out, &totals);
	buf_add_char(p->out, '\n');
	text_outcomes(p->out, &totals);
	if (p->numbers)
		text_numbers(p->out, p->numbers);
	text_ranges(p);
	text_keepers(p);
	text_traps(p);
	text_sites(p);
}

/* ---- for programs ---- */

static void json_kinds(struct buf *out, const uint64_t *kinds)
{
	buf_add_str(out, "\"kinds\":");
	for (int i = 0; i < ACCESS_KIND_MAX; i++)
		buf_printf(out, "%c\"%s\":%" PRIu64, i ? ',' : '{',
			access_kind_name((enum access_kind)i), kinds[i]);
	buf_add_char(out, '}');
}

static void json_totals(struct buf *out, const struct stats_totals *totals)
{
	buf_printf(out, "\"accesses\":%" PRIu64 ",", totals->accesses);
	json_kinds(out, totals->kinds);
	buf_add_str(out, ",\"outcomes\":");
	for (int i = 0; i < OUTCOME_MAX; i++)
		buf_printf(out, "%c\"%s\":%" PRIu64, i ? ',' : '{',
			outcome_name((enum outcome)i), totals->outcomes[i]);
	buf_add_char(out, '}');
}

static void json_numbers(struct buf *out, const struct stats_numbers *n)
{
	buf_printf(out, ",\"running\":%s,\"seconds\":%.6f",
		n->running ? "true" : "false", n->seconds);
	buf_printf(out, ",\"page_mates\":%" PRIu64 ",\"waits\":%" PRIu64
		",\"steps\":%" PRIu64 ",\"holds\":%" PRIu64
		",\"still_held\":%" PRIu64 ",\"keeper_errors\":%" PRIu64
		",\"verified_bytes\":%" PRIu64 ",\"missed\":",
		n->page_mates, n->waits, n->steps, n->holds, n->still_held,
		n->keeper_errors, n->verified_bytes);
	if (n->checked)
		buf_printf(out, "%" PRIu64, n->missed);
	else
		buf_add_str(out, "null");
	buf_add_str(out, ",\"missed_why\":");
	buf_add_json(out, n->missed_why, strlen(n->missed_why));
}

static void json_links(struct printer *p, const struct range *range)
{
	buf_add_str(p->out, ",\"keepers\":[");
	for (unsigned i = 0; i < range->link_count; i++) {
		const struct range_link *link = &range->links[i];
		const char *name = link->keeper->ops->name;

		buf_add_str(p->out, i ? ",{\"keeper\":" : "{\"keeper\":");
		buf_add_json(p->out, name, strlen(name));
		buf_printf(p->out, ",\"asked\":%" PRIu64 ",\"filtered\":%"
			PRIu64 "}", link->asked, link->filtered);
	}
	buf_add_char(p->out, ']');
}

/* Nanoseconds, or null when nothing was measured. */
static void json_ns(struct printer *p, const char *key, uint64_t ticks)
{
	buf_add_str(p->out, key);
	if (is_timed(p))
		buf_printf(p->out, "%.0f",
			(double)ticks * p->numbers->ns_per_tick);
	else
		buf_add_str(p->out, "null");
}

static void json_keepers(struct printer *p)
{
	const struct keeper *keepers[KEEPERS_MAX];
	size_t count = list_keepers(p->ranges, keepers);

	buf_add_str(p->out, ",\"keepers\":[");
	for (size_t i = 0; i < count; i++) {
		const char *name = keepers[i]->ops->name;

		buf_add_str(p->out, i ? ",{\"keeper\":" : "{\"keeper\":");
		buf_add_json(p->out, name, strlen(name));
		buf_printf(p->out, ",\"asked\":%" PRIu64 ",\"failed\":%"
			PRIu64, asked_of(keepers[i]), keepers[i]->failed);
		json_ns(p, ",\"ns\":", ticks_of(keepers[i]));
		buf_add_char(p->out, '}');
	}
	buf_add_str(p->out, "],\"traps\":{");
	for (int i = 0; i < STATS_TRAP_MAX; i++) {
		buf_printf(p->out, "%s\"%s\":{\"count\":%" PRIu64,
			i ? "," : "", trap_names[i],
			p->numbers ? p->numbers->traps[i] : 0);
		json_ns(p, ",\"ns\":",
			p->numbers ? p->numbers->trap_ticks[i] : 0);
		buf_add_char(p->out, '}');
	}
	buf_add_char(p->out, '}');
}

static void json_ranges(struct printer *p)
{
	size_t count = p->ranges ? range_set_count(p->ranges) : 0;

	buf_add_str(p->out, ",\"ranges\":[");
	for (size_t i = 0; i < count; i++) {
		const struct range *range = range_set_get(p->ranges, i);
		struct stats_totals totals;

		stats_get_range(p->stats, range->id, &totals);
		buf_add_str(p->out, i ? ",{\"range\":" : "{\"range\":");
		buf_add_json(p->out, range->name, strlen(range->name));
		buf_printf(p->out, ",\"address\":\"0x%" PRIx64
			"\",\"length\":%" PRIu64 ",", range->address,
			range->length);
		json_totals(p->out, &totals);
		json_links(p, range);
		buf_add_char(p->out, '}');
	}
	buf_add_char(p->out, ']');
}

static void json_word(
	struct buf *out, const char *key, const struct buf *word)
{
	buf_add_str(out, key);
	if (word->len)
		buf_add_json(out, word->data, word->len);
	else
		buf_add_str(out, "null");
}

static void json_site(struct printer *p, const struct stats_site *site)
{
	buf_add_str(p->out, "{\"process\":");
	buf_add_json(p->out, site->process_name, strlen(site->process_name));
	buf_printf(p->out, ",\"pid\":%" PRIu64 ",\"ip\":\"0x%" PRIx64 "\"",
		site->process, site->ip);
	json_word(p->out, ",\"symbol\":", name_symbol(p, site));
	json_word(p->out, ",\"line\":", name_line(p, site));
	buf_reset(&p->word);
	buf_add_hex(&p->word, site->insn, site->insn_len);
	json_word(p->out, ",\"insn\":", &p->word);
	json_word(p->out, ",\"text\":", name_text(p, site));
	buf_printf(p->out, ",\"count\":%" PRIu64 ",", site->count);
	json_kinds(p->out, site->kinds);
	buf_printf(p->out, ",\"first_seq\":%" PRIu64 ",\"last_seq\":%" PRIu64
		"}", site->first_seq, site->last_seq);
}

static void print_json(struct printer *p)
{
	struct stats_totals totals;

	stats_get_totals(p->stats, &totals);
	buf_add_str(p->out, "{\"event\":\"summary\",");
	json_totals(p->out, &totals);
	if (p->numbers)
		json_numbers(p->out, p->numbers);
	json_ranges(p);
	json_keepers(p);
	buf_add_str(p->out, ",\"instructions\":[");
	for (size_t i = 0; i < p->site_count; i++) {
		if (i)
			buf_add_char(p->out, ',');
		json_site(p, &p->sites[i]);
	}
	buf_printf(p->out, "],\"other_instructions\":%" PRIu64 "}\n",
		p->others);
}

void stats_print(struct stats *stats, const struct range_set *ranges,
	const struct trace_names *names, const struct stats_numbers *numbers,
	enum trace_sink_format format, size_t sites_max, struct buf *out)
{
	struct printer p = {
		.stats = stats,
		.ranges = ranges,
		.names = names,
		.numbers = numbers,
		.sites_max = sites_max,
		.out = out,
	};

	p.sites = stats_get_sites(stats, &p.site_count, &p.others);
	if (format == TRACE_SINK_JSON)
		print_json(&p);
	else
		print_text(&p);
	free(p.sites);
	buf_fini(&p.word);
}
