/* SPDX-License-Identifier: MIT */
/* Range specifications, split into their parts. The grammar is in range.h. */
#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "keeper/range_impl.h"

struct cursor {
	const char *text; /* all of it, for messages */
	const char *at;
	struct error *err;
};

static int refuse(struct cursor *c, const char *why)
{
	return error_set(c->err, -EINVAL, "range '%s': %s", c->text, why);
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal or 0x hexadecimal number; the cursor moves behind it. */
static int parse_number(struct cursor *c, uint64_t *out)
{
	unsigned base = 10;
	uint64_t value = 0;
	const char *start;

	if (c->at[0] == '0' && (c->at[1] == 'x' || c->at[1] == 'X')) {
		base = 16;
		c->at += 2;
	}
	start = c->at;
	for (; digit_value(*c->at) < (int)base; c->at++)
		if (!checked_mul(value, base, &value) ||
			!checked_add(value, (unsigned)digit_value(*c->at),
				&value))
			return refuse(
				c, "a number does not fit into 64 bits");
	if (c->at == start)
		return refuse(c, "a number is missing or malformed (decimal "
				 "or 0x hexadecimal)");
	*out = value;
	return 0;
}

static int parse_plus(struct cursor *c, uint64_t *out)
{
	if (*c->at != '+')
		return refuse(c, "expected '+' and a number");
	c->at++;
	return parse_number(c, out);
}

static int parse_end(struct cursor *c)
{
	return *c->at ? refuse(c, "there is something behind its end") : 0;
}

static int parse_address(struct cursor *c, struct range_text *out)
{
	uint64_t end;
	int rc = parse_number(c, &out->start);

	if (rc)
		return rc;
	if (!*c->at)
		return refuse(c, "how many bytes? Write ADDRESS+LENGTH or "
				 "FIRST..END");
	if (strncmp(c->at, "..", 2)) {
		rc = parse_plus(c, &out->length);
		return rc ? rc : parse_end(c);
	}
	c->at += 2;
	rc = parse_number(c, &end);
	if (!rc)
		rc = parse_end(c);
	if (!rc && end < out->start)
		rc = refuse(c, "it ends before it starts");
	if (!rc)
		out->length = end - out->start;
	return rc;
}

static int parse_symbol(struct cursor *c, struct range_text *out)
{
	size_t len = strcspn(c->at, "+!");
	int rc;

	if (!len)
		return refuse(c, "a symbol, an address or device:NAME is "
				 "missing");
	memcpy(out->name, c->at, len);
	c->at += len;
	if (!*c->at) {
		out->whole = true;
		return 0;
	}
	rc = parse_plus(c, &out->start);
	if (!rc && !*c->at)
		return refuse(c, "how many bytes? Write SYMBOL+OFFSET+LENGTH");
	if (!rc)
		rc = parse_plus(c, &out->length);
	return rc ? rc : parse_end(c);
}

static int parse_device(struct cursor *c, struct range_text *out)
{
	size_t len = strcspn(c->at, "+");
	int rc;

	out->device = true;
	if (!len)
		return refuse(c, "the device has no name");
	memcpy(out->name, c->at, len);
	c->at += len;
	if (!*c->at)
		return refuse(c, "how many bytes? Write device:NAME+LENGTH");
	rc = parse_plus(c, &out->length);
	return rc ? rc : parse_end(c);
}

static int parse_place(struct cursor *c, struct range_text *out)
{
	size_t len = strcspn(c->at, "!");

	if (!strncmp(c->at, "device:", 7)) {
		c->at += 7;
		return parse_device(c, out);
	}
	if (c->at[len]) {
		if (!len)
			return refuse(c, "the program before '!' has no name");
		memcpy(out->program, c->at, len);
		c->at += len + 1;
	}
	return is_digit(*c->at) ? parse_address(c, out)
				: parse_symbol(c, out);
}

int range_parse(const char *text, struct range_text *out, struct error *err)
{
	struct cursor c = { .text = text, .at = text, .err = err };
	int rc;

	*out = (struct range_text){ 0 };
	if (strlen(text) >= RANGE_NAME_MAX)
		return error_set(err, -EINVAL,
			"range '%.32s...' is longer than %d characters", text,
			RANGE_NAME_MAX - 1);
	rc = parse_place(&c, out);
	if (!rc && !out->whole && !out->length)
		rc = refuse(&c, "it is empty");
	return rc;
}
