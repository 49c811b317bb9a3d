/* SPDX-License-Identifier: MIT */
/* custos trace plot: a picture of what was done to kept memory. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/trace.h"
#include "cli/trace_plot.h"

#define VERB "trace plot"

/* Of pictures; a terminal has as many as fit. */
#define PICTURE_BANDS 256
#define PICTURE_ROWS 150
#define PICTURE_COLUMNS 240

const char trace_plot_help[] =
	"  -o, --output FILE     to FILE; its name's ending says what it is:\n"
	"                        .svg, .png, .html; else characters\n"
	"      --svg             an SVG picture\n"
	"      --png             a PNG picture\n"
	"      --html            a page to look into: what is under the pointer,\n"
	"                        filters, who did it; needs nothing but itself\n"
	"      --text            characters, as on a terminal\n"
	"      --ascii           the same of ASCII letters only\n"
	"      --by-number       access numbers instead of time to the right\n"
	TRACE_SELECT_HELP;

enum { OPT_SVG = 256, OPT_PNG, OPT_HTML, OPT_TEXT, OPT_ASCII, OPT_BY_NUMBER };

struct plotting {
	struct trace_query q;
	struct trace_select select;
	struct trace_plot plot;
	struct trace_plot_terminal terminal;
	unsigned lines; /* a terminal's */
	int format; /* OPT_..., 0: not said */
	bool ascii, by_number;
	const char *output; /* NULL: stdout */
};

/* ---- what and where to ---- */

static int format_of(const char *path)
{
	const char *dot = strrchr(path, '.');

	if (dot && !strcasecmp(dot, ".svg"))
		return OPT_SVG;
	if (dot && !strcasecmp(dot, ".png"))
		return OPT_PNG;
	if (dot && (!strcasecmp(dot, ".html") || !strcasecmp(dot, ".htm")))
		return OPT_HTML;
	return OPT_TEXT;
}

static bool is_utf8(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

	for (size_t i = 0; i < 3; i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return strcasestr(value, "utf-8") ||
				strcasestr(value, "utf8");
	}
	return false;
}

static unsigned number_in(const char *name, unsigned otherwise)
{
	const char *text = getenv(name);
	unsigned long value = text ? strtoul(text, NULL, 10) : 0;

	return value && value < 10000 ? (unsigned)value : otherwise;
}

static void measure_terminal(struct plotting *p)
{
	bool is_terminal = !p->output && isatty(STDOUT_FILENO);
	const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");
	struct winsize size = { 0 };

	if (is_terminal)
		ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	p->terminal.columns =
		size.ws_col ? size.ws_col : number_in("COLUMNS", 100);
	p->lines = size.ws_row ? size.ws_row : number_in("LINES", 40);
	p->terminal.ascii = p->ascii || (is_terminal && !is_utf8());
	p->terminal.colour = is_terminal && !p->ascii &&
		!(no_colour && *no_colour) && term && strcmp(term, "dumb");
}

static int write_to(struct plotting *p, FILE *out)
{
	switch (p->format) {
	case OPT_SVG:
		return trace_plot_svg(&p->plot, out);
	case OPT_PNG:
		return trace_plot_png(&p->plot, out);
	case OPT_HTML:
		return trace_plot_html(&p->plot, &p->q, out);
	default:
		return trace_plot_print(&p->plot, &p->terminal, out);
	}
}

static void write_picture(struct plotting *p)
{
	FILE *out = stdout;
	int ret;

	if (p->output && !trace_query_may_write(&p->q, p->output))
		return;
	if (p->output) {
		out = fopen(p->output, "we");
		if (!out) {
			trace_query_fail(&p->q, "cannot write %s: %s",
				p->output, strerror(errno));
			return;
		}
	}
	ret = write_to(p, out);
	if (!ret && fflush(out))
		ret = -errno;
	if (out != stdout && fclose(out) && !ret)
		ret = -errno;
	if (ret)
		trace_query_fail(&p->q, "cannot write %s: %s",
			p->output ? p->output : "the picture", strerror(-ret));
}

/* ---- counting ---- */

static bool finish(struct plotting *p)
{
	uint32_t room = p->lines > 24 ? p->lines - 8 : 16;

	if (p->format != OPT_TEXT)
		return trace_plot_finish(&p->plot, PICTURE_BANDS, PICTURE_ROWS,
			PICTURE_COLUMNS);
	return trace_plot_finish(&p->plot, room < 64 ? 64 : room, room,
		trace_plot_print_columns(&p->terminal));
}

static void count(struct plotting *p)
{
	struct trace_record record;
	bool ok = trace_plot_init(
		&p->plot, p->q.meta, &p->select.places, p->by_number);

	p->plot.title = p->q.meta->command && *p->q.meta->command ?
		p->q.meta->command : p->q.path;
	p->plot.file = p->q.path;
	while (ok && trace_select_next(&p->select, &p->q, &record))
		ok = trace_plot_add(&p->plot, &record);
	if (p->q.code == CLI_FAILED)
		return;
	if (!ok || !finish(p))
		trace_query_fail(&p->q, "out of memory");
}

static int plot_trace(struct plotting *p, const char *path)
{
	if (!trace_query_open(&p->q, VERB, path))
		return CLI_FAILED;
	measure_terminal(p);
	if (trace_select_begin(&p->select, &p->q)) {
		count(p);
		if (p->q.code != CLI_FAILED)
			write_picture(p);
		trace_plot_fini(&p->plot);
	}
	trace_progress(VERB, 0, 0);
	trace_select_fini(&p->select);
	return trace_query_close(&p->q);
}

/* ---- options ---- */

static int take(struct plotting *p, int option)
{
	switch (option) {
	case 'o':
		p->output = optarg;
		return -1;
	case OPT_BY_NUMBER:
		p->by_number = true;
		return -1;
	case OPT_ASCII:
		p->ascii = true;
		option = OPT_TEXT;
		break;
	case OPT_SVG:
	case OPT_PNG:
	case OPT_HTML:
	case OPT_TEXT:
		break;
	default:
		return trace_select_take(&p->select, VERB, option, optarg);
	}
	if (p->format && p->format != option)
		return cmd_usage_error(VERB, "one kind of picture at a time");
	p->format = option;
	return -1;
}

int trace_plot_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "output", required_argument, NULL, 'o' },
		{ "svg", no_argument, NULL, OPT_SVG },
		{ "png", no_argument, NULL, OPT_PNG },
		{ "html", no_argument, NULL, OPT_HTML },
		{ "text", no_argument, NULL, OPT_TEXT },
		{ "ascii", no_argument, NULL, OPT_ASCII },
		{ "by-number", no_argument, NULL, OPT_BY_NUMBER },
		TRACE_SELECT_LONG,
		{ 0 },
	};
	struct plotting p = { 0 };
	int option, code;

	while ((option = getopt_long(argc, argv, TRACE_SELECT_SHORT "o:",
			options, NULL)) != -1) {
		code = take(&p, option);
		if (code >= 0)
			return code;
	}
	if (optind + 1 != argc)
		return cmd_usage_error(VERB, optind == argc ?
			"which trace?" : "one trace at a time");
	if (!p.format)
		p.format = p.output ? format_of(p.output) : OPT_TEXT;
	if (p.format == OPT_PNG && !p.output && isatty(STDOUT_FILENO))
		return cmd_usage_error(VERB,
			"a terminal shows no PNG: say -o FILE");
	return plot_trace(&p, argv[optind]);
}
