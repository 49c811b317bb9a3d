/* SPDX-License-Identifier: MIT */
/*
 * device: a device made of registers that a file describes. Answers loads and
 * stores, tells in names what they do, and what a driver must not do: touch
 * what is no register, or a part of one, store to read-only or reserved bits,
 * load write-only ones, or clear nothing where a 1 would clear.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/builtin.h"
#include "keeper/builtin_map.h"
#include "keeper/builtin_registers.h"

#define SITES_MAX 1024

struct site {
	uint64_t place, count;
};

struct device {
	struct builtin_state state;
	char name[32];
	struct builtin_registers map;
	uint64_t values[BUILTIN_REGISTERS_MAX];
	/* What the latest load that was told gave. */
	uint64_t told_values[BUILTIN_REGISTERS_MAX];
	bool told[BUILTIN_REGISTERS_MAX];
	struct builtin_map sites; /* where misuse has been told */
};

static unsigned index_of(
	const struct device *device, const struct builtin_register *r)
{
	return (unsigned)(r - device->map.regs);
}

/* ---- words for people ---- */

static void say_misuse(struct device *device, const struct access *access,
	const struct builtin_register *r, const char *what)
{
	uint64_t place = builtin_site(device->state.host, access) ^
		(uint64_t)(uintptr_t)what;
	struct site *site = builtin_map_find(&device->sites, &place);
	struct buf *line = &device->state.line;

	if (!site && device->sites.count < SITES_MAX)
		site = builtin_map_get(&device->sites, &place);
	if (!site || site->count++)
		return;
	if (r)
		buf_printf(line, "device: %s: misuse of %s: ", device->name,
			r->name);
	else
		buf_printf(line, "device: %s: misuse at offset 0x%" PRIx64 ": ",
			device->name, access->offset);
	buf_printf(line, "%s, %s by ", what, access_kind_name(access->kind));
	builtin_describe_who(device->state.host, access, line);
	buf_add_char(line, '\n');
	builtin_describe_stack(device->state.host, access, line);
	builtin_say(&device->state);
}

/* "CTRL.ENABLE 0->1, CTRL.MODE 0->2" */
static bool say_change(struct device *device, const struct builtin_register *r,
	uint64_t old, uint64_t now)
{
	struct buf *line = &device->state.line;
	const char *comma = "";

	if (old == now)
		return false;
	for (unsigned i = 0; i < r->field_count; i++) {
		const struct builtin_field *f = &r->fields[i];

		if (!((old ^ now) & f->mask))
			continue;
		buf_printf(line, "%s%s.%s %" PRIu64 "->%" PRIu64, comma,
			r->name, f->name, (old & f->mask) >> f->shift,
			(now & f->mask) >> f->shift);
		comma = ", ";
	}
	if (!r->field_count)
		buf_printf(line, "%s 0x%" PRIx64 "->0x%" PRIx64, r->name, old,
			now);
	return true;
}

static void say_value(struct device *device, const struct builtin_register *r,
	uint64_t value)
{
	struct buf *line = &device->state.line;

	buf_printf(line, "%s = 0x%" PRIx64, r->name, value);
	for (unsigned i = 0; i < r->field_count; i++)
		buf_printf(line, "%s%s %" PRIu64, i ? ", " : " (",
			r->fields[i].name,
			(value & r->fields[i].mask) >> r->fields[i].shift);
	if (r->field_count)
		buf_add_char(line, ')');
}

static void say_start(struct device *device, const char *what)
{
	buf_printf(&device->state.line, "device: %s: %s", device->name, what);
}

static void say_end(struct device *device, const struct access *access)
{
	struct buf *line = &device->state.line;

	if (access) {
		buf_add_str(line, " by ");
		builtin_describe_who(device->state.host, access, line);
	}
	buf_add_char(line, '\n');
}

/* ---- what registers do by themselves ---- */

static uint64_t get(const struct device *device, const struct builtin_bits *at)
{
	return (device->values[at->reg] & at->mask) >> at->shift;
}

static void run_hook(struct device *device, const struct builtin_hook *hook)
{
	const struct builtin_register *r = &device->map.regs[hook->to.reg];
	uint64_t old = device->values[hook->to.reg], value = hook->operand;

	if (hook->action == HOOK_ADD)
		value += get(device, &hook->to);
	else if (hook->action == HOOK_COPY)
		value = get(device, &hook->from);
	device->values[hook->to.reg] = (old & ~hook->to.mask) |
		((value << hook->to.shift) & hook->to.mask);
	if (device->values[hook->to.reg] == old)
		return;
	say_start(device, "then ");
	say_change(device, r, old, device->values[hook->to.reg]);
	say_end(device, NULL);
}

/* touched: bits of register r that were. */
static void run_hooks(struct device *device, const struct builtin_register *r,
	uint64_t touched, bool store)
{
	for (unsigned i = 0; i < device->map.hook_count; i++) {
		const struct builtin_hook *hook = &device->map.hooks[i];

		if (hook->on_store == store &&
			hook->when.reg == index_of(device, r) &&
			(hook->when.mask & touched) &&
			(!hook->compares ||
				get(device, &hook->when) == hook->value))
			run_hook(device, hook);
	}
}

/* ---- stores and loads ---- */

static const char *wrong_store(const struct builtin_register *r, uint64_t old,
	uint64_t value, uint64_t touched)
{
	const uint64_t *masks = r->masks;

	if (masks[REGISTER_READ_ONLY] && !masks[REGISTER_READ_WRITE] &&
		!masks[REGISTER_WRITE_ONLY] && !masks[REGISTER_CLEAR])
		return "it is read-only";
	if (value & ~old & masks[REGISTER_READ_ONLY] & touched)
		return "a read-only bit is set";
	if (value & ~old & r->reserved & touched)
		return "a reserved bit is set";
	if (masks[REGISTER_CLEAR] && !masks[REGISTER_READ_WRITE] &&
		!masks[REGISTER_WRITE_ONLY] &&
		!(value & masks[REGISTER_CLEAR] & touched))
		return "only a 1 clears, and there is none";
	return NULL;
}

static void store(struct device *device, const struct access *access,
	const struct builtin_register *r, uint64_t value, uint64_t touched)
{
	uint64_t *at = &device->values[index_of(device, r)], old = *at;
	uint64_t plain = (r->masks[REGISTER_READ_WRITE] |
				 r->masks[REGISTER_WRITE_ONLY]) &
		touched;
	const char *what = wrong_store(r, old, value, touched);

	if (what)
		say_misuse(device, access, r, what);
	*at = (old & ~plain) | (value & plain);
	*at &= ~(value & r->masks[REGISTER_CLEAR] & touched);
	say_start(device, "");
	if (!say_change(device, r, old, *at))
		say_value(device, r, *at);
	say_end(device, access);
	run_hooks(device, r, touched, true);
}

static void load(struct device *device, const struct access *access,
	const struct builtin_register *r, uint64_t touched)
{
	unsigned i = index_of(device, r);
	uint64_t value = device->values[i] & ~r->masks[REGISTER_WRITE_ONLY];

	if (touched & r->masks[REGISTER_WRITE_ONLY] &&
		access->kind != ACCESS_RMW &&
		!(touched & ~r->masks[REGISTER_WRITE_ONLY]))
		say_misuse(device, access, r, "it is write-only");
	/* A driver that polls is told of when it sees something new. */
	if (!device->told[i] || device->told_values[i] != value) {
		say_start(device, "loaded ");
		say_value(device, r, value);
		say_end(device, access);
	}
	device->told[i] = true;
	device->told_values[i] = value;
	run_hooks(device, r, touched, false);
}

/* The bits of r that kept bytes of the access cover, and what they hold in
 * bytes (of the access). */
static uint64_t bits_of(const struct builtin_register *r,
	const struct access *access, const uint8_t *bytes, uint64_t *out_value)
{
	uint64_t touched = 0;

	*out_value = 0;
	for (uint32_t i = 0; i < r->size; i++) {
		uint64_t at = (uint64_t)r->offset + i - access->offset;

		if (at >= access->kept_count)
			continue;
		touched |= UINT64_C(0xff) << 8 * i;
		*out_value |= (uint64_t)bytes[access->kept_first + at]
			<< 8 * i;
	}
	return touched;
}

/* What is wrong with where it is; once for an access. */
static void check_place(struct device *device, const struct access *access)
{
	uint64_t end = access->offset + access->kept_count;

	for (uint64_t at = access->offset; at < end;) {
		const struct builtin_register *r =
			builtin_registers_at(&device->map, at);

		if (!r) {
			say_misuse(device, access, NULL,
				"there is no register");
			return;
		}
		if (!r->parts && (r->offset != access->offset ||
					 r->size != access->size)) {
			say_misuse(device, access, r,
				"not all of it, or more than it");
			return;
		}
		at = (uint64_t)r->offset + r->size;
	}
}

static void each_register(struct device *device, const struct access *access,
	const uint8_t *stored)
{
	for (unsigned i = 0; i < device->map.count; i++) {
		const struct builtin_register *r = &device->map.regs[i];
		const uint8_t *bytes = stored ? stored : access->old_bytes;
		uint64_t value;
		uint64_t touched = bits_of(r, access, bytes, &value);

		if (!touched)
			continue;
		if (stored)
			store(device, access, r, value, touched);
		else
			load(device, access, r, touched);
	}
}

/* ---- the keeper ---- */

/* Only what it holds; what an access does to it is done when it is over. */
static enum keeper_status device_access(struct keeper *keeper,
	const struct access *access, struct verdict *verdict, struct error *err)
{
	struct device *device = (struct device *)keeper;

	(void)err;
	if (access->kind == ACCESS_FETCH || access->lanes) {
		verdict->kind = VERDICT_DENY;
		snprintf(verdict->reason, sizeof(verdict->reason),
			"%s is a device", device->name);
		return KEEPER_OK;
	}
	if (!access_reads(access->kind)) {
		verdict->kind = VERDICT_ABSORB;
		return KEEPER_OK;
	}
	verdict->kind = VERDICT_SERVE;
	for (uint32_t i = 0; i < access->kept_count; i++) {
		const struct builtin_register *r = builtin_registers_at(
			&device->map, access->offset + i);
		uint64_t value = 0;

		if (r)
			value = (device->values[index_of(device, r)] &
					~r->masks[REGISTER_WRITE_ONLY]) >>
				8 * (access->offset + i - r->offset);
		verdict->value[access->kept_first + i] = (uint8_t)value;
	}
	return KEEPER_OK;
}

static void device_told(struct keeper *keeper, const struct access *access,
	enum outcome outcome, const uint8_t *final_bytes)
{
	struct device *device = (struct device *)keeper;

	if (!builtin_is_performed(outcome, final_bytes) || access->lanes ||
		access->kind == ACCESS_FETCH)
		return;
	check_place(device, access);
	if (access_reads(access->kind))
		each_register(device, access, NULL);
	if (access_writes(access->kind))
		each_register(device, access,
			outcome == OUTCOME_ABSORB ? access->new_bytes :
						    final_bytes);
	builtin_say(&device->state);
}

static void device_destroy(struct keeper *keeper)
{
	struct device *device = (struct device *)keeper;

	builtin_registers_fini(&device->map);
	builtin_map_fini(&device->sites);
	builtin_destroy(keeper);
}

static const struct keeper_ops device_ops = {
	.name = "device",
	.help = "is a device made of registers",
	.access = device_access,
	.told = device_told,
	.destroy = device_destroy,
};

static int read_argument(struct device *device, const char *argument,
	struct builtin_ranges *ranges, struct error *err)
{
	const char *equals = strchr(argument, '=');
	size_t len = equals ? (size_t)(equals - argument) : 0;
	int ret;

	if (!len || len >= sizeof(device->name) || !equals[1])
		return error_set(err, -EINVAL, "`%s': want NAME=FILE", argument);
	memcpy(device->name, argument, len);
	ret = builtin_registers_read(equals + 1, &device->map, err);
	if (ret)
		return ret;
	for (unsigned i = 0; i < device->map.count; i++)
		device->values[i] = device->map.regs[i].reset;
	/* All of its last page, so that nothing there goes unnoticed. */
	return builtin_ranges_add(ranges, err, "device:%s+%" PRIu64,
		device->name,
		(device->map.end + ARCH_PAGE_MASK) & ~ARCH_PAGE_MASK);
}

int builtin_device_create(const char *argument,
	const struct builtin_host *host, struct keeper **out,
	struct builtin_ranges *out_ranges, struct error *err)
{
	struct device *device =
		builtin_create(sizeof(*device), &device_ops, host, err);
	int ret;

	if (!device)
		return -ENOMEM;
	device->sites.entry_size = sizeof(struct site);
	device->sites.key_size = sizeof(uint64_t);
	ret = read_argument(device, argument, out_ranges, err);
	if (ret)
		keeper_destroy(&device->state.keeper);
	else
		*out = &device->state.keeper;
	return ret;
}
