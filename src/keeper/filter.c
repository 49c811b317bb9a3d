/* SPDX-License-Identifier: MIT */
#include "keeper/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keeper/range.h"

static bool take_kind(const char *word, struct filter *out)
{
	for (int kind = 0; kind < ACCESS_KIND_MAX; kind++)
		if (!strcmp(word, access_kind_name((enum access_kind)kind))) {
			out->kinds |= 1u << kind;
			return true;
		}
	return false;
}

static int take_number(
	const char *word, const char *text, uint64_t *out, struct error *err)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 0);
	if (errno || end == text || *end || *text == '-')
		return error_set(err, -EINVAL,
			"condition `%s': `%s' is not a number", word, text);
	return 0;
}

static int take_value(const char *word, struct filter *out, struct error *err)
{
	static const struct {
		const char *start;
		enum filter_compare compare;
	} forms[] = {
		{ "value=", FILTER_EQUAL },
		{ "value!=", FILTER_NOT_EQUAL },
		{ "value<", FILTER_LESS },
		{ "value>", FILTER_GREATER },
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		size_t len = strlen(forms[i].start);

		if (strncmp(word, forms[i].start, len))
			continue;
		out->compare = forms[i].compare;
		return take_number(word, word + len, &out->value, err);
	}
	return error_set(err, -EINVAL,
		"condition `%s': a value is compared with =, !=, < or >", word);
}

static int take_ip(const char *word, const char *text,
	const struct image *const *images, size_t image_count,
	struct filter *out, struct error *err)
{
	uint64_t address, length;
	int ret = range_resolve(
		text, images, image_count, &address, &length, err);

	if (ret) {
		error_prefix(err, "condition `%s'", word);
		return ret;
	}
	out->ip_first = address;
	out->ip_last = address + (length - 1);
	return 0;
}

static int take_process(const char *word, const char *name, struct filter *out,
	struct error *err)
{
	if (!*name || strlen(name) >= sizeof(out->process))
		return error_set(err, -EINVAL,
			"condition `%s': a process's name has 1 to %zu "
			"characters",
			word, sizeof(out->process) - 1);
	strcpy(out->process, name);
	return 0;
}

static int take_word(const char *word, const struct image *const *images,
	size_t image_count, struct filter *out, struct error *err)
{
	uint64_t number = 0;
	int ret = 0;

	if (take_kind(word, out))
		return 0;
	if (!strcmp(word, "changed")) {
		out->compare = FILTER_CHANGED;
	} else if (!strncmp(word, "size=", 5)) {
		ret = take_number(word, word + 5, &number, err);
		out->size = (uint32_t)number;
		if (!ret && (!number || number > UINT32_MAX))
			ret = error_set(err, -EINVAL,
				"condition `%s': no access is so large", word);
	} else if (!strncmp(word, "every=", 6)) {
		ret = take_number(word, word + 6, &out->every, err);
		if (!ret && !out->every)
			ret = error_set(err, -EINVAL,
				"condition `%s': every which?", word);
	} else if (!strncmp(word, "value", 5)) {
		ret = take_value(word, out, err);
	} else if (!strncmp(word, "process=", 8)) {
		ret = take_process(word, word + 8, out, err);
	} else if (!strncmp(word, "ip=", 3)) {
		ret = take_ip(word, word + 3, images, image_count, out, err);
	} else {
		ret = error_set(err, -EINVAL,
			"condition `%s' is not known; there are: load, store, "
			"rmw, fetch, ipc_src, ipc_dst, syscall_load, "
			"syscall_store, changed, size=N, value=N, value!=N, "
			"value<N, value>N, process=NAME, ip=RANGE, every=N",
			word);
	}
	return ret;
}

int filter_parse(const char *text, const struct image *const *images,
	size_t image_count, struct filter *out, struct error *err)
{
	char *copy = strdup(text), *word, *save = NULL;
	int ret = 0;

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	*out = (struct filter){ 0 };
	for (word = strtok_r(copy, " \t,", &save); word && !ret;
		word = strtok_r(NULL, " \t,", &save))
		ret = take_word(word, images, image_count, out, err);
	free(copy);
	return ret;
}

static uint64_t integer(const uint8_t *bytes, uint32_t size)
{
	uint64_t value = 0;

	memcpy(&value, bytes, size); /* little endian, as the CPU */
	return value;
}

static bool value_matches(const struct filter *f, const struct access *a)
{
	const uint8_t *bytes = a->new_bytes ? a->new_bytes : a->old_bytes;
	uint64_t value;

	if (f->compare == FILTER_ANY_VALUE)
		return true;
	if (f->compare == FILTER_CHANGED)
		return a->new_bytes &&
			memcmp(a->new_bytes + a->kept_first,
				a->old_bytes + a->kept_first, a->kept_count);
	if (a->size > 8)
		return false;
	value = integer(bytes, a->size);
	switch (f->compare) {
	case FILTER_EQUAL:
		return value == f->value;
	case FILTER_NOT_EQUAL:
		return value != f->value;
	case FILTER_LESS:
		return value < f->value;
	case FILTER_GREATER:
		return value > f->value;
	case FILTER_ANY_VALUE:
	case FILTER_CHANGED:
		break;
	}
	return true;
}

/* "count" matches a process called "count.elf", too. */
static bool process_matches(const struct filter *f, const struct access *a)
{
	size_t len = strlen(f->process);

	if (!len)
		return true;
	return !strncmp(a->process_name, f->process, len) &&
		(!a->process_name[len] ||
			!strcmp(a->process_name + len, ".elf"));
}

bool filter_matches(struct filter *f, const struct access *a)
{
	uint64_t n;

	if (f->kinds && !(f->kinds & 1u << a->kind))
		return false;
	if (f->size && f->size != a->size)
		return false;
	if (f->ip_last && (a->ip < f->ip_first || a->ip > f->ip_last))
		return false;
	if (!value_matches(f, a) || !process_matches(f, a))
		return false;
	if (f->every < 2)
		return true;
	n = atomic_fetch_add_explicit(&f->matched, 1, memory_order_relaxed);
	return (n + 1) % f->every == 0;
}
