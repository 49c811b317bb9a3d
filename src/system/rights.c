/* SPDX-License-Identifier: MIT */
/*
 * Rights as people write them. Of memory: letters, and words for what is taken
 * away, because what is taken away is rare: "rw nocall". Of all else: words.
 */
#include <string.h>

#include "system/system.h"

/* What a mapping has unless told otherwise; control is no matter of mappings,
 * but of who holds the object. */
#define MEMORY_USUAL                                                           \
	(CUSTOS_RIGHT_CALL | CUSTOS_RIGHT_STRONG | CUSTOS_RIGHT_INSPECT)

static const struct {
	const char *word;
	uint32_t right;
	bool taken; /* the word takes the right away; memory only */
} words[] = {
	{ "read", CUSTOS_RIGHT_READ, false },
	{ "write", CUSTOS_RIGHT_WRITE, false },
	{ "exec", CUSTOS_RIGHT_EXEC, false },
	{ "send", CUSTOS_RIGHT_SEND, false },
	{ "receive", CUSTOS_RIGHT_RECEIVE, false },
	{ "wait", CUSTOS_RIGHT_WAIT, false },
	{ "control", CUSTOS_RIGHT_CONTROL, false },
	{ "nocall", CUSTOS_RIGHT_CALL, true },
	{ "weak", CUSTOS_RIGHT_STRONG, true },
	{ "opaque", CUSTOS_RIGHT_INSPECT, true },
};

#define WORDS (sizeof(words) / sizeof(words[0]))

uint32_t system_kind_rights(enum system_kind kind)
{
	uint32_t of_type[CUSTOS_CAP_MAX] = { 0 };

#define CAPTYPE(NAME, name, number, what, help)
#define CAPCALL(TYPE, type, NAME, name, number, argc, rights, help)            \
	of_type[CUSTOS_CAP_##TYPE] |= (rights);
#include "abi/captype.def"
	if (system_kind_is_memory(kind))
		return CUSTOS_RIGHTS_MEMORY;
	if (kind == SYSTEM_ENTRY)
		return CUSTOS_RIGHTS_MEMORY | CUSTOS_RIGHT_SEND;
	return of_type[system_kind_type(kind)];
}

/* "rwx": letters, each once or more. */
static bool take_letters(const char *word, size_t len, uint32_t *rights)
{
	static const char letters[] = "rwx";
	uint32_t taken = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(letters, word[i], 3);

		if (!at)
			return false;
		taken |= 1u << (at - letters); /* READ, WRITE, EXEC */
	}
	*rights |= taken;
	return len;
}

static bool take_word(enum system_kind kind, const char *word, size_t len,
	uint32_t *rights)
{
	bool memory = system_kind_is_memory(kind) || kind == SYSTEM_ENTRY;

	for (size_t i = 0; i < WORDS; i++) {
		if (strlen(words[i].word) != len ||
			memcmp(words[i].word, word, len))
			continue;
		if (words[i].taken)
			*rights &= ~words[i].right;
		else
			*rights |= words[i].right;
		return words[i].taken ? memory
				      : words[i].right &
					      system_kind_rights(kind);
	}
	return take_letters(word, len, rights) &&
		!(*rights & ~system_kind_rights(kind));
}

bool system_rights_parse(enum system_kind kind, const char *text,
	uint32_t *out, struct buf *what)
{
	bool memory = system_kind_is_memory(kind) || kind == SYSTEM_ENTRY;

	*out = memory ? MEMORY_USUAL : 0;
	for (;;) {
		size_t len;

		text += strspn(text, " ,|+");
		len = strcspn(text, " ,|+");
		if (!len)
			return true;
		if (!take_word(kind, text, len, out)) {
			buf_add(what, text, len);
			return false;
		}
		text += len;
	}
}

static void print_memory(uint32_t rights, struct buf *out)
{
	for (int i = 0; i < 3; i++)
		buf_add_char(out, rights & (1u << i) ? "rwx"[i] : '-');
	for (size_t i = 0; i < WORDS; i++)
		if (words[i].taken && !(rights & words[i].right))
			buf_printf(out, " %s", words[i].word);
	if (rights & CUSTOS_RIGHT_CONTROL)
		buf_add_str(out, " control");
	if (rights & CUSTOS_RIGHT_SEND)
		buf_add_str(out, " send");
}

void system_rights_print(
	enum system_kind kind, uint32_t rights, struct buf *out)
{
	const char *between = "";

	rights &= system_kind_rights(kind);
	if (system_kind_is_memory(kind) || kind == SYSTEM_ENTRY) {
		print_memory(rights, out);
		return;
	}
	for (size_t i = 0; i < WORDS; i++) {
		if (words[i].taken || !(rights & words[i].right))
			continue;
		buf_printf(out, "%s%s", between, words[i].word);
		between = " ";
	}
	if (!*between)
		buf_add_str(out, "none");
}
