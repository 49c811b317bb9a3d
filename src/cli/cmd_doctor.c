/* SPDX-License-Identifier: MIT */
/* custos doctor: what the checks of vmm/probe.h found. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "cli/cmd.h"
#include "vmm/probe.h"

static const char usage[] =
	"Usage: custos doctor [--json]\n"
	"\n"
	"Look whether /dev/kvm is there and usable, what kind it is and what\n"
	"it offers, and run a small guest. Exits with 0 when custos can run\n"
	"programs here, with 1 when not.\n"
	"\n"
	"  --json      one JSON object\n"
	"  -h, --help  this text\n";

static void add_text(struct buf *out, const struct probe *probe)
{
	for (size_t i = 0; i < probe->count; i++) {
		const struct probe_check *c = &probe->checks[i];

		buf_printf(out, "%-7s  %s: %s\n",
			vmm_probe_status_name(c->status), c->name, c->detail);
		if (c->advice[0])
			buf_printf(out, "         -> %s\n", c->advice);
	}
	buf_add_str(out,
		probe->usable ? "custos can run programs on this machine.\n" :
				"custos cannot run programs on this machine.\n");
}

static void add_member(struct buf *out, const char *key, const char *value)
{
	buf_printf(out, "\"%s\":", key);
	buf_add_json(out, value, strlen(value));
}

static void add_json(struct buf *out, const struct probe *probe)
{
	buf_printf(out, "{\"usable\":%s,\"checks\":[",
		probe->usable ? "true" : "false");
	for (size_t i = 0; i < probe->count; i++) {
		const struct probe_check *c = &probe->checks[i];

		buf_add_str(out, i ? ",{" : "{");
		add_member(out, "name", c->name);
		buf_add_char(out, ',');
		add_member(out, "status", vmm_probe_status_name(c->status));
		buf_add_char(out, ',');
		add_member(out, "detail", c->detail);
		buf_add_char(out, ',');
		add_member(out, "advice", c->advice);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "]}\n");
}

static int report(bool json)
{
	struct buf out = BUF_INIT;
	struct probe probe;
	int result;

	vmm_probe(NULL, &probe);
	if (json)
		add_json(&out, &probe);
	else
		add_text(&out, &probe);
	result = probe.usable ? CLI_OK : CLI_NO;
	if (out.failed)
		result = cmd_fail("doctor", "out of memory");
	else if (fwrite(out.data, 1, out.len, stdout) != out.len ||
		fflush(stdout))
		result = cmd_fail("doctor", "cannot write: %s",
			strerror(errno));
	buf_fini(&out);
	return result;
}

int cmd_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool json = false;
	int option;

	optind = 1;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1)
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return fflush(stdout) ? CLI_FAILED : CLI_OK;
		default:
			return cmd_usage_error("doctor", "unknown option: %s",
				argv[optind - 1]);
		}
	if (optind < argc)
		return cmd_usage_error(
			"doctor", "takes no argument: %s", argv[optind]);
	return report(json);
}
