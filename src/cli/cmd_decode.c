/* SPDX-License-Identifier: MIT */
/* custos decode: what instructions do to memory. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <custos/decode.h>

#include "base/buf.h"
#include "cli/cmd.h"

static const char usage[] =
	"Usage: custos decode [--json] [--address ADDR] HEX...\n"
	"\n"
	"Decode x86-64 instructions given as hex digits (all HEX arguments "
	"are one\n"
	"stream of bytes) and list every memory access of each: kind, size "
	"and address.\n"
	"\n"
	"  -a, --address ADDR  where the first byte lies (default 0)\n"
	"      --json          one JSON object per instruction, one per line\n"
	"  -h, --help          show this help\n"
	"\n"
	"Exit code: 0, or 125 when some bytes are no complete instruction.\n";

struct request {
	bool json;
	uint64_t address;
	uint8_t *bytes;
	size_t len;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Append the bytes of one argument: digits in pairs, separated or not, with
 * or without 0x or \x. */
static int add_hex(struct request *request, const char *text)
{
	const char *c = text;

	while (*c) {
		int high, low;

		if (*c == ' ' || *c == ',' || *c == '\t' || *c == '\n') {
			c++;
			continue;
		}
		if ((*c == '0' || *c == '\\') && (c[1] == 'x' || c[1] == 'X')) {
			c += 2;
			if (hex_digit(*c) < 0)
				return cmd_usage_error("decode",
					"no digits behind 0x in `%s'", text);
		}
		high = hex_digit(*c);
		low = high < 0 ? -1 : hex_digit(c[1]);
		if (high < 0)
			return cmd_usage_error("decode",
				"`%c' in `%s' is not a hex digit", *c, text);
		if (low < 0)
			return cmd_usage_error("decode",
				"odd number of hex digits in `%s'", text);
		request->bytes[request->len++] = (uint8_t)(high << 4 | low);
		c += 2;
	}
	return 0;
}

static int collect(struct request *request, int argc, char **argv)
{
	size_t capacity = 1;
	int result = 0;

	for (int i = 0; i < argc; i++)
		capacity += strlen(argv[i]);
	request->bytes = malloc(capacity);
	if (!request->bytes)
		return cmd_fail("decode", "out of memory");
	for (int i = 0; i < argc && !result; i++)
		result = add_hex(request, argv[i]);
	if (!result && !request->len)
		result = cmd_usage_error("decode", "no bytes to decode");
	return result;
}

static const char *method_name(enum insn_method method)
{
	switch (method) {
	case INSN_EXECUTE:
		return "execute";
	case INSN_STEP:
		return "step";
	case INSN_NO_ACCESS:
	case INSN_METHOD_MAX:
		break;
	}
	return "no_access";
}

static void add_bytes(struct buf *out, const uint8_t *bytes, size_t len,
	const char *separator)
{
	for (size_t i = 0; i < len; i++)
		buf_printf(out, "%s%02x", i ? separator : "", bytes[i]);
}

static void add_size(struct buf *out, uint32_t size)
{
	if (size)
		buf_printf(out, "%" PRIu32, size);
	else
		buf_add_str(out, "?");
}

static void add_text_operand(
	struct buf *out, const struct insn *insn, unsigned i)
{
	const struct insn_operand *o = &insn->operands[i];
	char formula[96];

	decode_operand_text(insn, i, formula, sizeof(formula));
	buf_printf(out, "    %-6s", access_kind_name(o->kind));
	add_size(out, o->size);
	buf_printf(out, "  %s", formula);
	if (o->lanes > 1)
		buf_printf(out, "  lanes %u", o->lanes);
	if (o->alignment > 1)
		buf_printf(out, "  aligned %u", o->alignment);
	if (o->conditional)
		buf_add_str(out, "  conditional");
	if (insn->atomic && o->kind == ACCESS_RMW)
		buf_add_str(out, "  atomic");
	buf_add_char(out, '\n');
}

static void add_text(struct buf *out, const struct insn *insn, uint64_t address)
{
	char text[160];

	decode_text(insn, address, text, sizeof(text));
	buf_printf(out, "%8" PRIx64 "  ", address);
	add_bytes(out, insn->bytes, insn->length, " ");
	buf_printf(out, "%*s  %s%s\n",
		insn->length < 8 ? 3 * (8 - insn->length) : 0, "", text,
		insn->method == INSN_STEP ? "  (only by single step)" : "");
	for (unsigned i = 0; i < insn->operand_count; i++)
		add_text_operand(out, insn, i);
}

static const char *json_bool(bool value)
{
	return value ? "true" : "false";
}

/* Formulas and disassembly hold no character that JSON would have escaped. */
static void add_json_operand(
	struct buf *out, const struct insn *insn, unsigned i)
{
	const struct insn_operand *o = &insn->operands[i];
	char formula[96];

	decode_operand_text(insn, i, formula, sizeof(formula));
	buf_printf(out, "%s{\"kind\":\"%s\",\"size\":", i ? "," : "",
		access_kind_name(o->kind));
	if (o->size)
		buf_printf(out, "%" PRIu32, o->size);
	else
		buf_add_str(out, "null");
	buf_printf(out,
		",\"address\":\"%s\",\"alignment\":%u,\"lanes\":%u,"
		"\"conditional\":%s}",
		formula, o->alignment, o->lanes, json_bool(o->conditional));
}

static void add_json(struct buf *out, const struct insn *insn, uint64_t address)
{
	char text[160];

	decode_text(insn, address, text, sizeof(text));
	buf_printf(out, "{\"address\":\"0x%" PRIx64 "\",\"bytes\":\"", address);
	add_bytes(out, insn->bytes, insn->length, "");
	buf_printf(out,
		"\",\"length\":%u,\"text\":\"%s\",\"method\":\"%s\","
		"\"atomic\":%s,\"string\":%s,\"repeated\":%s,\"branches\":%s,"
		"\"needs_xstate\":%s,\"accesses\":[",
		insn->length, text, method_name(insn->method),
		json_bool(insn->atomic), json_bool(insn->string),
		json_bool(insn->repeated), json_bool(insn->branches),
		json_bool(insn->needs_xstate));
	for (unsigned i = 0; i < insn->operand_count; i++)
		add_json_operand(out, insn, i);
	buf_add_str(out, "]}\n");
}

static int print_line(struct buf *out)
{
	int result = out->failed ? cmd_fail("decode", "out of memory") : 0;

	if (!result && fwrite(out->data, 1, out->len, stdout) != out->len)
		result = cmd_fail("decode", "cannot write: %s", strerror(errno));
	buf_reset(out);
	return result;
}

static int complain(const struct request *request, size_t at, int error)
{
	struct buf bytes = BUF_INIT;
	size_t rest = request->len - at;

	fflush(stdout);
	add_bytes(&bytes, request->bytes + at,
		rest < ARCH_INSN_MAX ? rest : ARCH_INSN_MAX, " ");
	cmd_fail("decode", "byte %zu: %s: %s", at,
		error == -ENODATA ? "the instruction is not complete" :
				    "no user-mode instruction starts like that",
		bytes.data ? bytes.data : "");
	buf_fini(&bytes);
	return CLI_FAILED;
}

static int decode_all(const struct request *request)
{
	struct buf out = BUF_INIT;
	struct insn insn;
	int result = 0;

	for (size_t at = 0; at < request->len && !result; at += insn.length) {
		int error = decode_insn(
			request->bytes + at, request->len - at, &insn);

		if (error) {
			result = complain(request, at, error);
			break;
		}
		if (request->json)
			add_json(&out, &insn, request->address + at);
		else
			add_text(&out, &insn, request->address + at);
		result = print_line(&out);
	}
	buf_fini(&out);
	if (!result && fflush(stdout))
		result = cmd_fail("decode", "cannot write: %s", strerror(errno));
	return result;
}

static int parse_address(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		return cmd_usage_error(
			"decode", "`%s' is not an address", text);
	return 0;
}

int cmd_decode(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "address", required_argument, NULL, 'a' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	struct request request = { 0 };
	int option, result = 0;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "+a:h", options, NULL)) != -1)
		switch (option) {
		case 'j':
			request.json = true;
			break;
		case 'a':
			result = parse_address(optarg, &request.address);
			if (result)
				return result;
			break;
		case 'h':
			fputs(usage, stdout);
			return fflush(stdout) ? CLI_FAILED : CLI_OK;
		default:
			return cmd_usage_error("decode",
				"unknown option or missing argument: %s",
				argv[optind - 1]);
		}
	if (optind >= argc)
		return cmd_usage_error("decode", "no bytes to decode");
	result = collect(&request, argc - optind, argv + optind);
	if (!result)
		result = decode_all(&request);
	free(request.bytes);
	return result;
}
