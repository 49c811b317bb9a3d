/* SPDX-License-Identifier: MIT */
#include "keeper/builtin_registers.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define FILE_MAX 65536
#define WORDS_MAX 16
#define LINE_MAX 256

struct parser {
	struct builtin_registers *out;
	const char *name;
	unsigned line;
	char text[LINE_MAX]; /* the line, cut into words */
	char *words[WORDS_MAX];
	unsigned count, next;
	struct error *err;
};

static int __attribute__((format(printf, 2, 3))) wrong(
	struct parser *p, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return error_set(p->err, -EINVAL, "%s:%u: %s", p->name, p->line, text);
}

static const char *next_word(struct parser *p)
{
	return p->next < p->count ? p->words[p->next++] : NULL;
}

static bool read_number(const char *text, uint64_t *out)
{
	char *end;

	if (!text || !isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoull(text, &end, 0);
	return !errno && !*end;
}

static int take_number(struct parser *p, const char *what, uint64_t *out)
{
	const char *word = next_word(p);

	if (read_number(word, out))
		return 0;
	return wrong(p, "want a number for the %s, not `%s'", what,
		word ? word : "");
}

static int take_name(struct parser *p, char out[BUILTIN_REGISTER_NAME_MAX])
{
	const char *word = next_word(p);
	size_t len = word ? strlen(word) : 0;

	if (!len || len >= BUILTIN_REGISTER_NAME_MAX ||
		isdigit((unsigned char)*word))
		return wrong(p, "want a name, not `%s'", word ? word : "");
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)word[i]) && word[i] != '_')
			return wrong(p, "`%s' is not a name", word);
	memcpy(out, word, len + 1);
	return 0;
}

static bool read_mode(const char *word, enum builtin_register_mode *out)
{
	static const char *const modes[] = {
		[REGISTER_READ_WRITE] = "read-write",
		[REGISTER_READ_ONLY] = "read-only",
		[REGISTER_WRITE_ONLY] = "write-only",
		[REGISTER_CLEAR] = "write-1-to-clear",
	};

	for (int i = 0; i < REGISTER_MODE_MAX; i++)
		if (!strcmp(word, modes[i])) {
			*out = i;
			return true;
		}
	return false;
}

static uint64_t ones(unsigned count)
{
	return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

/* ---- register ---- */

static int check_register(struct parser *p, const struct builtin_register *r)
{
	const struct builtin_registers *all = p->out;

	if (r->size != 1 && r->size != 2 && r->size != 4 && r->size != 8)
		return wrong(p, "a register has 1, 2, 4 or 8 bytes");
	if (!checked_range(r->offset, r->size, BUILTIN_REGISTER_END_MAX))
		return wrong(p, "a device has at most %d bytes",
			BUILTIN_REGISTER_END_MAX);
	if (r->reset & ~ones(r->size * 8))
		return wrong(p, "the reset value needs more than %u bytes",
			r->size);
	for (unsigned i = 0; i < all->count; i++) {
		const struct builtin_register *other = &all->regs[i];

		if (!strcmp(other->name, r->name))
			return wrong(p, "there is a register %s already",
				r->name);
		if (ranges_overlap(
			    r->offset, r->size, other->offset, other->size))
			return wrong(p, "%s overlaps %s", r->name, other->name);
	}
	return 0;
}

static int take_register(struct parser *p)
{
	struct builtin_register r = { .mode = REGISTER_READ_WRITE };
	uint64_t offset = 0, size = 0;
	const char *word;
	int ret = take_name(p, r.name);

	if (!ret)
		ret = take_number(p, "offset", &offset);
	if (!ret)
		ret = take_number(p, "size", &size);
	if (!ret && (offset > BUILTIN_REGISTER_END_MAX || size > 8))
		ret = wrong(p, "offset or size is too large");
	r.offset = (uint32_t)offset;
	r.size = (uint32_t)size;
	while (!ret && (word = next_word(p))) {
		if (!strcmp(word, "reset"))
			ret = take_number(p, "reset value", &r.reset);
		else if (!strcmp(word, "parts"))
			r.parts = true;
		else if (!read_mode(word, &r.mode))
			ret = wrong(p, "`%s' is not known", word);
	}
	if (!ret)
		ret = check_register(p, &r);
	if (!ret && p->out->count == BUILTIN_REGISTERS_MAX)
		ret = wrong(p, "more than %d registers", BUILTIN_REGISTERS_MAX);
	if (ret)
		return ret;
	if (p->out->end < r.offset + r.size)
		p->out->end = r.offset + r.size;
	p->out->regs[p->out->count++] = r;
	return 0;
}

/* ---- field ---- */

static int take_bits(struct parser *p, unsigned width, struct builtin_field *f)
{
	const char *word = next_word(p);
	unsigned first, last;
	int used = 0;

	if (!word || sscanf(word, "%2u%n", &first, &used) != 1 ||
		(word[used] && sscanf(word, "%2u..%2u%n", &first, &last,
				       &used) != 2) ||
		word[used])
		return wrong(p, "want BIT or BIT..BIT, not `%s'",
			word ? word : "");
	if (!strchr(word, '.'))
		last = first;
	if (first > last || last >= width)
		return wrong(p, "there are no such bits in %u", width);
	f->shift = first;
	f->mask = ones(last - first + 1) << first;
	return 0;
}

static int take_field(struct parser *p)
{
	struct builtin_register *r;
	struct builtin_field f = { .shift = 0 }, *fields;
	const char *word;
	int ret;

	if (!p->out->count)
		return wrong(p, "a field comes behind its register");
	r = &p->out->regs[p->out->count - 1];
	f.mode = r->mode;
	ret = take_name(p, f.name);
	if (!ret)
		ret = take_bits(p, r->size * 8, &f);
	word = ret ? NULL : next_word(p);
	if (word && !read_mode(word, &f.mode))
		ret = wrong(p, "`%s' is not known", word);
	for (unsigned i = 0; !ret && i < r->field_count; i++)
		if (r->fields[i].mask & f.mask ||
			!strcmp(r->fields[i].name, f.name))
			ret = wrong(p, "field %s: its bits or its name are %s's",
				f.name, r->fields[i].name);
	if (ret)
		return ret;
	fields = reallocarray(r->fields, r->field_count + 1, sizeof(*fields));
	if (!fields)
		return error_set(p->err, -ENOMEM, "out of memory");
	r->fields = fields;
	fields[r->field_count++] = f;
	return 0;
}

/* ---- when ---- */

static bool find_field(const struct builtin_register *r, const char *name,
	struct builtin_bits *out)
{
	for (unsigned i = 0; i < r->field_count; i++)
		if (!strcmp(r->fields[i].name, name)) {
			out->shift = r->fields[i].shift;
			out->mask = r->fields[i].mask;
			return true;
		}
	return false;
}

static bool find_bits(
	struct parser *p, const char *name, struct builtin_bits *out)
{
	const char *dot = strchr(name, '.');
	size_t len = dot ? (size_t)(dot - name) : strlen(name);

	for (unsigned i = 0; i < p->out->count; i++) {
		const struct builtin_register *r = &p->out->regs[i];

		if (strlen(r->name) != len || memcmp(r->name, name, len))
			continue;
		*out = (struct builtin_bits){ i, 0, ones(r->size * 8) };
		return !dot || find_field(r, dot + 1, out);
	}
	return false;
}

/* NAME, or NAME=VALUE, which is cut off; NULL when there is none. */
static int take_place(
	struct parser *p, struct builtin_bits *out, char **out_value)
{
	char *word = p->next < p->count ? p->words[p->next++] : NULL;

	if (!word)
		return wrong(p, "a register or a field is missing");
	*out_value = strchr(word, '=');
	if (*out_value)
		*(*out_value)++ = '\0';
	if (word[0] && word[strlen(word) - 1] == '+')
		word[strlen(word) - 1] = '\0';
	if (!find_bits(p, word, out))
		return wrong(p, "there is no register or field `%s' so far",
			word);
	return 0;
}

static int take_action(struct parser *p, struct builtin_hook *hook)
{
	const char *set = next_word(p);
	bool adds = p->next < p->count && strstr(p->words[p->next], "+=");
	char *value;
	int ret;

	if (!set || strcmp(set, "set"))
		return wrong(p, "want `set', not `%s'", set ? set : "");
	ret = take_place(p, &hook->to, &value);
	if (ret)
		return ret;
	hook->action = adds ? HOOK_ADD : HOOK_SET;
	if (read_number(value, &hook->operand))
		return 0;
	if (adds || !value || !find_bits(p, value, &hook->from))
		return wrong(p, "want a value to set, not `%s'",
			value ? value : "");
	hook->action = HOOK_COPY;
	return 0;
}

static int take_hook(struct parser *p)
{
	const char *event = next_word(p);
	struct builtin_hook hook = { .on_store = false };
	char *value;
	int ret;

	if (!event || (strcmp(event, "load") && strcmp(event, "store")))
		return wrong(p, "want `load' or `store', not `%s'",
			event ? event : "");
	hook.on_store = !strcmp(event, "store");
	ret = take_place(p, &hook.when, &value);
	if (ret)
		return ret;
	hook.compares = value != NULL;
	if (value && !read_number(value, &hook.value))
		return wrong(p, "`%s' is not a number", value);
	ret = take_action(p, &hook);
	if (ret)
		return ret;
	if (p->next < p->count)
		return wrong(p, "`%s' is too much", p->words[p->next]);
	if (p->out->hook_count == BUILTIN_HOOKS_MAX)
		return wrong(p, "more than %d `when'", BUILTIN_HOOKS_MAX);
	p->out->hooks[p->out->hook_count++] = hook;
	return 0;
}

/* ---- the whole ---- */

static int take_line(struct parser *p)
{
	static const struct {
		const char *word;
		int (*take)(struct parser *p);
	} kinds[] = {
		{ "register", take_register },
		{ "field", take_field },
		{ "when", take_hook },
	};
	char *at = p->text, *save;

	p->count = p->next = 0;
	at[strcspn(at, "#")] = '\0';
	for (at = strtok_r(at, " \t\r", &save); at;
		at = strtok_r(NULL, " \t\r", &save)) {
		if (p->count == WORDS_MAX)
			return wrong(p, "too many words");
		p->words[p->count++] = at;
	}
	if (!p->count)
		return 0;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(p->words[0], kinds[i].word)) {
			p->next = 1;
			return kinds[i].take(p);
		}
	return wrong(p, "want register, field or when, not `%s'", p->words[0]);
}

static void finish_register(struct builtin_register *r)
{
	uint64_t all = ones(r->size * 8), named = 0;

	for (unsigned i = 0; i < r->field_count; i++) {
		r->masks[r->fields[i].mode] |= r->fields[i].mask;
		named |= r->fields[i].mask;
	}
	if (r->field_count)
		r->reserved = all & ~named;
	else
		r->masks[r->mode] = all;
}

int builtin_registers_parse(const char *name, const char *text,
	struct builtin_registers *out, struct error *err)
{
	struct parser p = { .out = out, .name = name, .err = err };
	int ret = 0;

	while (!ret && *text) {
		size_t len = strcspn(text, "\n");

		p.line++;
		if (len >= sizeof(p.text))
			return wrong(&p, "this line is too long");
		memcpy(p.text, text, len);
		p.text[len] = '\0';
		text += len + (text[len] == '\n');
		ret = take_line(&p);
	}
	if (!ret && !out->count)
		ret = wrong(&p, "there is no register");
	for (unsigned i = 0; i < out->count; i++)
		finish_register(&out->regs[i]);
	return ret;
}

int builtin_registers_read(
	const char *path, struct builtin_registers *out, struct error *err)
{
	FILE *file = fopen(path, "re");
	char *text = calloc(1, FILE_MAX + 1);
	size_t len = 0;
	int ret = 0;

	if (!text)
		ret = error_set(err, -ENOMEM, "out of memory");
	else if (!file)
		ret = error_set_errno(err, -errno, "cannot open %s", path);
	if (!ret)
		len = fread(text, 1, FILE_MAX + 1, file);
	if (!ret && ferror(file))
		ret = error_set(err, -EIO, "cannot read %s", path);
	else if (!ret && len > FILE_MAX)
		ret = error_set(err, -EINVAL, "%s is larger than %d bytes",
			path, FILE_MAX);
	else if (!ret && memchr(text, '\0', len))
		ret = error_set(err, -EINVAL, "%s is not text", path);
	if (!ret)
		ret = builtin_registers_parse(path, text, out, err);
	if (file)
		fclose(file);
	free(text);
	return ret;
}

void builtin_registers_fini(struct builtin_registers *registers)
{
	for (unsigned i = 0; i < registers->count; i++)
		free(registers->regs[i].fields);
}

const struct builtin_register *builtin_registers_at(
	const struct builtin_registers *registers, uint64_t offset)
{
	for (unsigned i = 0; i < registers->count; i++) {
		const struct builtin_register *r = &registers->regs[i];

		if (offset >= r->offset && offset - r->offset < r->size)
			return r;
	}
	return NULL;
}
