/* SPDX-License-Identifier: MIT */
/*
 * Figures as pixels, two for each of a figure's units. Characters are strokes
 * of a pen: pairs of digits are points (x to the right 0 to 6, y down 0 to 8
 * at the line, a below it), a space lifts the pen.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace_plot.h"

#define SCALE 2.0
#define X_UNIT 0.075 /* of a font's size */
#define Y_UNIT 0.09
#define ADVANCE 0.6
#define LINE_UNITS 8
#define PEN 0.047 /* half of its width, of a font's size */

static const char *const strokes[] = {
	['!'] = "3035 3738", ['"'] = "2022 4042",
	['#'] = "2117 5147 0363 0565",
	['$'] = "614020010324446567482807 3038",
	['%'] = "0860 0010110100 5767685857",
	['&'] = "681220404206284865", ['\''] = "3032",
	['('] = "40222648", [')'] = "20424628", ['*'] = "3236 1355 5315",
	['+'] = "1555 3337", [','] = "382a", ['-'] = "1555", ['.'] = "3738",
	['/'] = "0860", ['0'] = "204062664828060220 4226",
	['1'] = "123038 1858", ['2'] = "02204062630868",
	['3'] = "01204061634424 446567482807", ['4'] = "58500666",
	['5'] = "600003436466482807", ['6'] = "5021040628486665442405",
	['7'] = "006028", ['8'] = "24030120406163442405072848676544",
	['9'] = "1847646240200203244463", [':'] = "3435 3738",
	[';'] = "3435 382a", ['<'] = "511457", ['='] = "1454 1656",
	['>'] = "115417", ['?'] = "022040625335 3738",
	['@'] = "46252342466562402002062858", ['A'] = "083068 1555",
	['B'] = "00084867654404 0040515344",
	['C'] = "6140200206284867", ['D'] = "00083866623000",
	['E'] = "60000868 0454", ['F'] = "600008 0454",
	['G'] = "61402002062848676434", ['H'] = "0008 6068 0464",
	['I'] = "1050 3038 1858", ['J'] = "6066482806",
	['K'] = "0008 6005 2368", ['L'] = "000868", ['M'] = "0800356068",
	['N'] = "08006860", ['O'] = "204062664828060220",
	['P'] = "08004061634404", ['Q'] = "204062664828060220 3568",
	['R'] = "08004061634404 3468", ['S'] = "614020010324446567482807",
	['T'] = "0060 3038", ['U'] = "000628486660", ['V'] = "003860",
	['W'] = "0018335860", ['X'] = "0068 6008", ['Y'] = "003460 3438",
	['Z'] = "00600868", ['['] = "40202848", ['\\'] = "0068",
	[']'] = "20404828", ['^'] = "133153", ['_'] = "0969", ['`'] = "2031",
	['a'] = "13435458 55250607283857", ['b'] = "0008 0523436566482806",
	['c'] = "6443230506284867", ['d'] = "6068 6543230506284866",
	['e'] = "05656443230506284867", ['f'] = "50403138 1353",
	['g'] = "63694a2a09 6543230506284866", ['h'] = "0008 0523436568",
	['i'] = "133338 1858 3031", ['j'] = "2343493a1a 4041",
	['k'] = "0008 5306 2568", ['l'] = "103038 1858",
	['m'] = "0308 0413233438 3443536468", ['n'] = "0308 0523436568",
	['o'] = "234365664828060523", ['p'] = "030a 0523436566482806",
	['q'] = "636a 6543230506284866", ['r'] = "1318 15335364",
	['s'] = "64432304254667482807", ['t'] = "30374858 1353",
	['u'] = "0306284866 6368", ['v'] = "033863", ['w'] = "0318345863",
	['x'] = "0368 6308", ['y'] = "0338 632a0a", ['z'] = "03630868",
	['{'] = "504031332435374858", ['|'] = "303a",
	['}'] = "102031334435372818", ['~'] = "05244564",
};

struct paint {
	uint8_t *pixels;
	uint32_t width, height;
};

static void blend(const struct paint *p, long x, long y, uint32_t rgb,
	double alpha)
{
	uint8_t *at;

	if (x < 0 || y < 0 || x >= (long)p->width || y >= (long)p->height ||
		alpha <= 0)
		return;
	at = p->pixels + ((size_t)y * p->width + (size_t)x) * 3;
	for (int i = 0; i < 3; i++) {
		double colour = rgb >> (16 - 8 * i) & 0xff;

		at[i] = (uint8_t)(at[i] + (colour - at[i]) * alpha + 0.5);
	}
}

/* ---- rectangles: edges on pixels ---- */

static void paint_rect(void *ctx, const struct trace_plot_rect *r)
{
	const struct paint *p = ctx;
	long left = lround(r->x * SCALE), top = lround(r->y * SCALE);
	long right = lround((r->x + r->w) * SCALE);
	long bottom = lround((r->y + r->h) * SCALE);

	if (right <= left)
		right = left + 1;
	if (bottom <= top)
		bottom = top + 1;
	for (long y = top; y < bottom; y++)
		for (long x = left; x < right; x++)
			blend(p, x, y, r->rgb, r->alpha);
}

/* ---- characters ---- */

struct pen_point {
	double x, y;
};

static double distance(double x, double y, struct pen_point a,
	struct pen_point b)
{
	double dx = b.x - a.x, dy = b.y - a.y, length = dx * dx + dy * dy;
	double t = length > 0 ?
		((x - a.x) * dx + (y - a.y) * dy) / length : 0;

	t = fmin(fmax(t, 0), 1);
	return hypot(x - a.x - t * dx, y - a.y - t * dy);
}

static int digit(char c)
{
	return c == 'a' ? 10 : c - '0';
}

/* How far a pixel is from the nearest stroke of a glyph whose origin is its
 * top left corner. */
static double glyph_distance(
	const char *glyph, double size, double x, double y)
{
	double nearest = 1e9;
	struct pen_point from = { 0 };
	bool down = false;

	for (; *glyph; glyph++) {
		struct pen_point to;

		if (*glyph == ' ') {
			down = false;
			continue;
		}
		to.x = digit(glyph[0]) * X_UNIT * size;
		to.y = digit(glyph[1]) * Y_UNIT * size;
		nearest = fmin(nearest,
			distance(x, y, down ? from : to, to));
		from = to;
		down = true;
		glyph++;
	}
	return nearest;
}

static void paint_glyph(const struct paint *p, const char *glyph, double left,
	double top, double size, uint32_t rgb)
{
	double pen = fmax(PEN * size, 0.8);
	long x0 = (long)floor(left - 2), y0 = (long)floor(top - 2);
	long x1 = (long)ceil(left + size * ADVANCE + 2);
	long y1 = (long)ceil(top + size + 2);

	for (long y = y0; y < y1; y++)
		for (long x = x0; x < x1; x++) {
			double d = glyph_distance(glyph, size,
				(double)x + 0.5 - left, (double)y + 0.5 - top);

			blend(p, x, y, rgb, fmin(pen + 0.5 - d, 1));
		}
}

static void paint_text(void *ctx, double x, double y, double size,
	enum trace_plot_anchor anchor, uint32_t rgb, const char *text)
{
	size_t count = sizeof(strokes) / sizeof(strokes[0]);

	size *= SCALE;
	x *= SCALE;
	x -= (double)strlen(text) * size * ADVANCE *
		(anchor == PLOT_RIGHT ? 1 : anchor == PLOT_MIDDLE ? 0.5 : 0);
	y = round(y * SCALE - LINE_UNITS * Y_UNIT * size);
	for (; *text; text++, x += size * ADVANCE) {
		unsigned char c = (unsigned char)*text;

		if (c < count && strokes[c])
			paint_glyph(ctx, strokes[c], x + size * X_UNIT, y,
				size, rgb);
	}
}

int trace_plot_png(const struct trace_plot *plot, FILE *out)
{
	struct paint paint = { 0 };
	struct trace_plot_canvas canvas = { &paint, paint_rect, paint_text };
	struct trace_plot_figure figure;
	int ret = -ENOMEM;

	if (trace_plot_figure_init(&figure, plot)) {
		paint.width = (uint32_t)(figure.width * SCALE);
		paint.height = (uint32_t)(figure.height * SCALE);
		paint.pixels = calloc((size_t)paint.width * paint.height, 3);
	}
	if (paint.pixels) {
		trace_plot_figure_draw(&figure, &canvas);
		ret = trace_plot_png_write(
			paint.pixels, paint.width, paint.height, out);
	}
	free(paint.pixels);
	trace_plot_figure_fini(&figure);
	return ret;
}
