/* SPDX-License-Identifier: MIT */
/*
 * Plugins as keepers: their callbacks get copies of our structures, laid out
 * as the public header promises, and what they answer is checked. This is the
 * only file that loads code.
 */
#include "keeper/plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <custos/keeper.h>

#include "keeper/plugin_impl.h"

#define NAME_MAX_SHOWN 64

struct plugin {
	struct keeper keeper;
	struct keeper_ops ops; /* of this plugin: what it has */
	struct custos_host services; /* what it gets: found by container */
	const struct plugin_host *host;
	char *path;
	void *handle;
	uintptr_t base;
	const struct custos_plugin *code;
	char name[NAME_MAX_SHOWN];
	void *self;
	bool opened; /* open() succeeded: close() is due */
	bool opening;
	char **ranges;
	size_t range_count;
};

/* What host->error() was told, for the callback that runs on this thread. */
static _Thread_local struct error told_error;

/* The same words in the same order: converted by number. */
_Static_assert((int)CUSTOS_PASS == VERDICT_PASS &&
		(int)CUSTOS_SERVE == VERDICT_SERVE &&
		(int)CUSTOS_ABSORB == VERDICT_ABSORB &&
		(int)CUSTOS_DENY == VERDICT_DENY &&
		(int)CUSTOS_STEP == VERDICT_STEP &&
		(int)CUSTOS_STOP == VERDICT_STOP &&
		(int)CUSTOS_HOLD == VERDICT_HOLD &&
		(int)CUSTOS_GRANT == VERDICT_GRANT &&
		(int)CUSTOS_CONTINUE == VERDICT_CONTINUE &&
		(int)CUSTOS_ROLLBACK == VERDICT_ROLLBACK &&
		(int)CUSTOS_ROLLBACK + 1 == VERDICT_KIND_MAX,
	"verdicts have the numbers of the public header");
_Static_assert((int)CUSTOS_OUTCOME_PASS == OUTCOME_PASS &&
		(int)CUSTOS_OUTCOME_SERVE == OUTCOME_SERVE &&
		(int)CUSTOS_OUTCOME_ABSORB == OUTCOME_ABSORB &&
		(int)CUSTOS_OUTCOME_DENY == OUTCOME_DENY &&
		(int)CUSTOS_OUTCOME_STEP == OUTCOME_STEP &&
		(int)CUSTOS_OUTCOME_ROLLBACK == OUTCOME_ROLLBACK &&
		(int)CUSTOS_OUTCOME_STOP == OUTCOME_STOP &&
		(int)CUSTOS_OUTCOME_UNEMULATABLE == OUTCOME_UNEMULATABLE &&
		(int)CUSTOS_OUTCOME_FAULT == OUTCOME_FAULT &&
		(int)CUSTOS_OUTCOME_FAULT + 1 == OUTCOME_MAX,
	"outcomes have the numbers of the public header");
/* Handed out as they are. */
_Static_assert(sizeof(struct custos_lane) == sizeof(struct access_lane) &&
		offsetof(struct custos_lane, size) ==
			offsetof(struct access_lane, size) &&
		offsetof(struct custos_lane, offset) ==
			offsetof(struct access_lane, offset),
	"lanes are laid out alike");
_Static_assert(sizeof(struct custos_step_piece) == sizeof(struct step_piece) &&
		offsetof(struct custos_step_piece, kind) ==
			offsetof(struct step_piece, kind) &&
		offsetof(struct custos_step_piece, old_bytes) ==
			offsetof(struct step_piece, old_bytes),
	"pieces are laid out alike");
_Static_assert(sizeof(((struct verdict *)0)->reason) == CUSTOS_REASON_MAX,
	"reasons have one length");

/* ---- whose code runs ---- */

static struct plugin_call begin(const struct plugin *p, const char *callback,
	const struct access *access)
{
	plugin_crash_thread();
	told_error.text[0] = '\0';
	return (struct plugin_call){
		.path = p->path,
		.callback = callback,
		.access = access,
		.base = p->base,
	};
}

/* Calls of a plugin do not nest: a service that asked it would deadlock. */
#define CALL(call, expression)                                                 \
	do {                                                                   \
		plugin_calling = (call);                                       \
		expression;                                                    \
		plugin_calling = NULL;                                         \
	} while (0)

/* Services run under the plugin's name, but as ours. */
static void enter_service(const char *name)
{
	if (plugin_calling)
		plugin_calling->service = name;
}

static void leave_service(void)
{
	if (plugin_calling)
		plugin_calling->service = NULL;
}

static struct plugin *plugin_of(struct custos_host *services)
{
	return (struct plugin *)(void *)((char *)services -
		offsetof(struct plugin, services));
}

/* ---- services ---- */

static int remember_range(struct plugin *p, const char *range)
{
	char **ranges;

	if (!p->opening || !range)
		return -1;
	ranges = realloc(p->ranges, (p->range_count + 1) * sizeof(*ranges));
	if (!ranges)
		return -1;
	p->ranges = ranges;
	ranges[p->range_count] = strdup(range);
	if (!ranges[p->range_count])
		return -1;
	p->range_count++;
	return 0;
}

static int serve_keep(struct custos_host *services, const char *range)
{
	int ret;

	enter_service("keep");
	ret = remember_range(plugin_of(services), range);
	leave_service();
	return ret;
}

/* "NAME: line" with its newline. */
static struct buf compose(const struct plugin *p, const char *line)
{
	struct buf text = BUF_INIT;

	buf_printf(&text, "%s: %s\n", p->name, line ? line : "(null)");
	return text;
}

static void serve_log(struct custos_host *services, const char *line)
{
	struct plugin *p = plugin_of(services);
	struct buf text;

	enter_service("log");
	text = compose(p, line);
	if (p->host->log && text.len)
		p->host->log(p->host->ctx, text.data, text.len);
	buf_fini(&text);
	leave_service();
}

static void serve_finding(struct custos_host *services, const char *line)
{
	struct plugin *p = plugin_of(services);
	struct buf text;

	enter_service("finding");
	text = compose(p, line);
	if (p->host->finding && text.len)
		p->host->finding(p->host->ctx, p->name, text.data);
	buf_fini(&text);
	leave_service();
}

static void serve_error(struct custos_host *services, const char *sentence)
{
	(void)services;
	enter_service("error");
	error_set(&told_error, -EINVAL, "%s", sentence ? sentence : "(null)");
	leave_service();
}

static void copy_text(struct buf *from, char *text, size_t capacity)
{
	size_t len = from->len < capacity ? from->len : capacity - 1;

	if (capacity) {
		memcpy(text, buf_str(from), len);
		text[len] = '\0';
	}
	buf_fini(from);
}

static void serve_symbol(struct custos_host *services, uint64_t process,
	uint64_t address, char *text, size_t capacity)
{
	const struct trace_names *names = plugin_of(services)->host->names;
	struct buf word = BUF_INIT;

	enter_service("symbol");
	if (names && names->symbol)
		names->symbol(names->ctx, process, address, &word);
	else
		buf_printf(&word, "0x%" PRIx64, address);
	copy_text(&word, text, capacity);
	leave_service();
}

static void serve_line(struct custos_host *services, uint64_t process,
	uint64_t address, char *text, size_t capacity)
{
	const struct trace_names *names = plugin_of(services)->host->names;
	struct buf word = BUF_INIT;

	enter_service("line");
	if (names && names->line)
		names->line(names->ctx, process, address, &word);
	copy_text(&word, text, capacity);
	leave_service();
}

static void serve_disassemble(struct custos_host *services,
	const uint8_t *insn, size_t len, uint64_t ip, char *text,
	size_t capacity)
{
	const struct trace_names *names = plugin_of(services)->host->names;
	struct buf word = BUF_INIT;

	enter_service("disassemble");
	if (names && names->text && insn)
		names->text(names->ctx, insn,
			(uint8_t)(len < ARCH_INSN_MAX ? len : ARCH_INSN_MAX),
			ip, &word);
	copy_text(&word, text, capacity);
	leave_service();
}

static size_t serve_read(struct custos_host *services, uint64_t process,
	uint64_t address, void *bytes, size_t len)
{
	const struct plugin_host *host = plugin_of(services)->host;
	size_t done = 0;

	enter_service("read");
	if (host->read)
		done = host->read(host->ctx, process, address, bytes, len);
	leave_service();
	return done;
}

static size_t serve_write(struct custos_host *services, uint64_t process,
	uint64_t address, const void *bytes, size_t len)
{
	const struct plugin_host *host = plugin_of(services)->host;
	size_t done = 0;

	enter_service("write");
	if (host->write)
		done = host->write(host->ctx, process, address, bytes, len);
	leave_service();
	return done;
}

static size_t serve_stack(
	struct custos_host *services, uint64_t *ips, size_t max)
{
	const struct plugin_host *host = plugin_of(services)->host;
	size_t count = 0;

	enter_service("stack");
	if (host->stack && plugin_calling && plugin_calling->access)
		count = host->stack(host->ctx, ips, max);
	leave_service();
	return count;
}

/* Take an answer over; false: there is no such answer, err says which. */
static bool take_verdict(const struct custos_verdict *from,
	struct verdict *verdict, struct error *err)
{
	if (from->kind >= VERDICT_KIND_MAX) {
		error_set(err, -EINVAL, "it answered %" PRIu32
			", which is no verdict", from->kind);
		return false;
	}
	if (from->kind == CUSTOS_DENY && from->fault_vector > ARCH_VECTOR_XM) {
		error_set(err, -EINVAL, "it denied with fault %" PRIu32
			", which no instruction raises", from->fault_vector);
		return false;
	}
	verdict->kind = (enum verdict_kind)from->kind;
	verdict->hold_ms = from->hold_ms;
	verdict->grant = from->grant_all ? GRANT_ALL : GRANT_PROCESS;
	verdict->grant_writes = from->grant_writes != 0;
	verdict->fault = (struct arch_fault){
		.vector = (enum arch_vector)from->fault_vector,
		.error_code = from->fault_error_code,
		.address = from->fault_address,
	};
	memcpy(verdict->reason, from->reason, sizeof(verdict->reason));
	verdict->reason[sizeof(verdict->reason) - 1] = '\0';
	return true;
}

static int resume(const struct plugin_host *host, uint64_t seq,
	const struct custos_verdict *from, size_t value_size)
{
	struct verdict verdict = { .value = NULL };
	struct error err;

	if (!host->resume || !take_verdict(from, &verdict, &err))
		return -1;
	if (verdict.kind > VERDICT_STOP)
		return -1;
	return host->resume(host->ctx, seq, &verdict, from->value,
		       from->value ? value_size : 0) ?
		-1 :
		0;
}

static int serve_resume(struct custos_host *services, uint64_t seq,
	const struct custos_verdict *verdict, size_t value_size)
{
	int ret;

	enter_service("resume");
	ret = resume(plugin_of(services)->host, seq, verdict, value_size);
	leave_service();
	return ret;
}

static const struct custos_host services_table = {
	.struct_size = sizeof(struct custos_host),
	.keep = serve_keep,
	.log = serve_log,
	.finding = serve_finding,
	.error = serve_error,
	.symbol = serve_symbol,
	.line = serve_line,
	.disassemble = serve_disassemble,
	.read = serve_read,
	.write = serve_write,
	.stack = serve_stack,
	.resume = serve_resume,
};

/* ---- callbacks ---- */

static struct custos_access show_access(const struct access *a)
{
	return (struct custos_access){
		.struct_size = sizeof(struct custos_access),
		.seq = a->seq,
		.kind = a->kind,
		.atomic = a->atomic,
		.address = a->address,
		.size = a->size,
		.kept_first = a->kept_first,
		.kept_count = a->kept_count,
		.range = a->range,
		.range_name = a->range_name,
		.offset = a->offset,
		.old_bytes = a->old_bytes,
		.new_bytes = a->new_bytes,
		.lanes = (const struct custos_lane *)(const void *)a->lanes,
		.lane_count = a->lane_count,
		.cpu = a->cpu,
		.process = a->process,
		.process_name = a->process_name,
		.ip = a->ip,
		.insn = a->insn,
		.insn_len = a->insn_len,
	};
}

static struct custos_verdict show_verdict(const struct verdict *v)
{
	return (struct custos_verdict){
		.struct_size = sizeof(struct custos_verdict),
		.kind = v->kind,
		.value = v->value,
		.grant_writes = 1,
		.fault_vector = v->fault.vector,
		.fault_error_code = v->fault.error_code,
		.fault_address = v->fault.address,
	};
}

static enum keeper_status failed(
	const struct plugin *p, const char *callback, int ret, struct error *err)
{
	if (told_error.text[0])
		error_set(err, -EINVAL, "%s: %s (in callback %s)", p->name,
			told_error.text, callback);
	else
		error_set(err, -EINVAL, "%s: callback %s returned %d", p->name,
			callback, ret);
	return KEEPER_ERROR;
}

static enum keeper_status answered(const struct plugin *p,
	const struct custos_verdict *answer, struct verdict *verdict,
	struct error *err)
{
	if (take_verdict(answer, verdict, err))
		return KEEPER_OK;
	error_prefix(err, "%s", p->name);
	return KEEPER_ERROR;
}

static enum keeper_status plugin_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct plugin *p = (struct plugin *)keeper;
	struct plugin_call call = begin(p, "access", access);
	const struct custos_access shown = show_access(access);
	struct custos_verdict answer = show_verdict(verdict);
	int ret;

	CALL(&call, ret = p->code->access(p->self, &shown, &answer));
	return ret ? failed(p, "access", ret, err) :
		     answered(p, &answer, verdict, err);
}

static enum keeper_status plugin_stepped(struct keeper *keeper,
	const struct access *access, const struct step_report *report,
	struct verdict *verdict, struct error *err)
{
	struct plugin *p = (struct plugin *)keeper;
	struct plugin_call call = begin(p, "stepped", access);
	const struct custos_access shown = show_access(access);
	struct custos_verdict answer = show_verdict(verdict);
	const struct custos_step step = {
		.struct_size = sizeof(step),
		.next_ip = report->next_ip,
		.times = report->times,
		.faulted = report->faulted,
		.fault_vector = report->fault.vector,
		.fault_error_code = report->fault.error_code,
		.fault_address = report->fault.address,
		.pieces = (const void *)report->pieces,
		.piece_count = report->count,
	};
	int ret;

	if (!p->code->stepped)
		return KEEPER_OK; /* CONTINUE */
	CALL(&call, ret = p->code->stepped(p->self, &shown, &step, &answer));
	return ret ? failed(p, "stepped", ret, err) :
		     answered(p, &answer, verdict, err);
}

static void plugin_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct plugin *p = (struct plugin *)keeper;
	struct plugin_call call = begin(p, "told", access);
	const struct custos_access shown = show_access(access);

	CALL(&call, p->code->told(p->self, &shown, outcome, final_bytes));
}

static enum keeper_status plugin_start(
	struct keeper *keeper, struct error *err)
{
	struct plugin *p = (struct plugin *)keeper;
	struct plugin_call call = begin(p, "start", NULL);
	int ret = 0;

	if (p->code->start)
		CALL(&call, ret = p->code->start(p->self));
	return ret ? failed(p, "start", ret, err) : KEEPER_OK;
}

static enum keeper_status plugin_finish(
	struct keeper *keeper, struct error *err)
{
	struct plugin *p = (struct plugin *)keeper;
	struct plugin_call call = begin(p, "finish", NULL);
	int ret = 0;

	if (p->code->finish)
		CALL(&call, ret = p->code->finish(p->self));
	return ret ? failed(p, "finish", ret, err) : KEEPER_OK;
}

static void plugin_destroy(struct keeper *keeper)
{
	struct plugin *p = (struct plugin *)keeper;

	if (p->opened && p->code->close) {
		struct plugin_call call = begin(p, "close", NULL);

		CALL(&call, p->code->close(p->self));
	}
	for (size_t i = 0; i < p->range_count; i++)
		free(p->ranges[i]);
	free(p->ranges);
	if (p->handle)
		dlclose(p->handle);
	free(p->path);
	free(p);
}

/* ---- loading ---- */

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

/* Where `make install' has plugins: beside the program we are. */
static char *installed(const char *name)
{
	char exe[PATH_MAX], *path = NULL;
	ssize_t len = readlink("/proc/self/exe", exe, sizeof(exe) - 1);

	if (len <= 0)
		return NULL;
	exe[len] = '\0';
	if (asprintf(&path, "%s/../lib/custos/plugins/%s", dirname(exe),
		    name) < 0)
		return NULL;
	return path;
}

/* dlopen() looks for names without a slash where libraries are; we do not. */
static char *find_file(const char *path)
{
	char *found = NULL;

	if (strchr(path, '/'))
		return strdup(path);
	if (!is_there(path)) {
		found = installed(path);
		if (found && is_there(found))
			return found;
		free(found);
	}
	return asprintf(&found, "./%s", path) < 0 ? NULL : found;
}

static int check_sizes(const struct plugin *p, struct error *err)
{
	const struct custos_plugin *c = p->code;
	const struct {
		const char *name;
		uint32_t theirs;
		size_t ours;
	} sizes[] = {
		{ "custos_plugin", c->plugin_size, sizeof(*c) },
		{ "custos_host", c->host_size, sizeof(struct custos_host) },
		{ "custos_access", c->access_size,
			sizeof(struct custos_access) },
		{ "custos_verdict", c->verdict_size,
			sizeof(struct custos_verdict) },
		{ "custos_step", c->step_size, sizeof(struct custos_step) },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		if (sizes[i].theirs > sizes[i].ours)
			return error_set(err, -ENOEXEC,
				"plugin %s was built for a newer custos "
				"(its struct %s has %" PRIu32
				" bytes, this one's %zu); build it with this "
				"custos's header",
				p->path, sizes[i].name, sizes[i].theirs,
				sizes[i].ours);
	if (c->plugin_size < sizeof(*c))
		return error_set(err, -ENOEXEC,
			"plugin %s says its struct custos_plugin has %" PRIu32
			" bytes; version %u has %zu: its header is not "
			"CUSTOS_PLUGIN_HEADER",
			p->path, c->plugin_size, CUSTOS_PLUGIN_VERSION,
			sizeof(*c));
	return 0;
}

/* Is it a plugin, and one for us? Its numbers first: the rest is read only
 * when they are right. */
static int check(const struct plugin *p, struct error *err)
{
	const struct custos_plugin *c = p->code;
	int ret;

	if (c->magic != CUSTOS_PLUGIN_MAGIC)
		return error_set(err, -ENOEXEC,
			"plugin %s: its " CUSTOS_PLUGIN_SYMBOL
			" does not begin with CUSTOS_PLUGIN_HEADER", p->path);
	if (c->version != CUSTOS_PLUGIN_VERSION)
		return error_set(err, -ENOEXEC,
			"plugin %s was built for version %" PRIu32
			" of custos/keeper.h, this custos has version %u; "
			"build it with this custos's header",
			p->path, c->version, CUSTOS_PLUGIN_VERSION);
	ret = check_sizes(p, err);
	if (ret)
		return ret;
	if (!c->name || !c->open)
		return error_set(err, -ENOEXEC, "plugin %s has no %s", p->path,
			c->name ? "open()" : "name");
	if (!c->access && !c->told)
		return error_set(err, -ENOEXEC,
			"plugin %s has neither access() nor told(): nothing "
			"to call", p->path);
	if (c->flags & ~(uint64_t)CUSTOS_PLUGIN_CONCURRENT)
		return error_set(err, -ENOEXEC,
			"plugin %s has flags that this custos does not know: "
			"0x%" PRIx64, p->path, c->flags);
	return 0;
}

static int load(struct plugin *p, struct error *err)
{
	struct plugin_call call;
	Dl_info info;

	if (!is_there(p->path))
		return error_set(err, -ENOENT, "there is no plugin %s",
			p->path);
	call = begin(p, "(while it is loaded)", NULL);
	CALL(&call, p->handle = dlopen(p->path, RTLD_NOW | RTLD_LOCAL));
	if (!p->handle)
		return error_set(err, -ENOEXEC, "plugin %s cannot be loaded: "
			"%s", p->path, dlerror());
	p->code = dlsym(p->handle, CUSTOS_PLUGIN_SYMBOL);
	if (!p->code)
		return error_set(err, -ENOEXEC,
			"%s is no plugin of custos: it has no symbol "
			CUSTOS_PLUGIN_SYMBOL, p->path);
	if (dladdr(p->code, &info))
		p->base = (uintptr_t)info.dli_fbase;
	return check(p, err);
}

static int call_open(struct plugin *p, const char *argument, struct error *err)
{
	struct plugin_call call = begin(p, "open", NULL);
	int ret;

	p->services = services_table;
	p->opening = true;
	CALL(&call, ret = p->code->open(&p->services, argument, &p->self));
	p->opening = false;
	p->opened = !ret;
	if (!ret)
		return 0;
	failed(p, "open", ret, err);
	return -EINVAL;
}

/* What it has decides how it is asked. */
static void fill_ops(struct plugin *p)
{
	const struct custos_plugin *c = p->code;

	for (size_t i = 0; c->name[i] && i + 1 < sizeof(p->name); i++) {
		p->name[i] = c->name[i];
		if (c->name[i] <= ' ' || c->name[i] >= 0x7f)
			p->name[i] = '_';
	}
	p->ops.name = p->name;
	p->ops.help = c->help ? c->help : "";
	p->ops.concurrent = c->flags & CUSTOS_PLUGIN_CONCURRENT;
	if (c->access) {
		p->ops.access = plugin_access;
		p->ops.stepped = plugin_stepped;
	}
	if (c->told)
		p->ops.told = plugin_told;
}

int plugin_open(const char *path, const char *argument,
	const struct plugin_host *host, struct keeper **out,
	struct error *err)
{
	struct plugin *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return error_set(err, -ENOMEM, "out of memory");
	p->ops.destroy = plugin_destroy;
	p->ops.start = plugin_start;
	p->ops.finish = plugin_finish;
	p->host = host;
	p->path = find_file(path);
	if (!p->path || keeper_init(&p->keeper, &p->ops)) {
		plugin_destroy(&p->keeper);
		return error_set(err, -ENOMEM, "out of memory");
	}
	plugin_crash_init();
	ret = load(p, err);
	if (!ret) {
		fill_ops(p);
		ret = call_open(p, argument, err);
	}
	if (ret)
		keeper_destroy(&p->keeper);
	else
		*out = &p->keeper;
	return ret;
}

size_t plugin_range_count(const struct keeper *plugin)
{
	return ((const struct plugin *)plugin)->range_count;
}

const char *plugin_range(const struct keeper *plugin, size_t index)
{
	return ((const struct plugin *)plugin)->ranges[index];
}
