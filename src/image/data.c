/* SPDX-License-Identifier: MIT */
/*
 * Variables and what is inside them, from the debug information: "ctx.lock
 * .owner" to an address and back. All variables with a fixed address are
 * collected at the first question; their types are walked when asked for.
 * Hostile: a type may contain itself, sizes and counts may be anything.
 */
#include <dwarf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "image/image_impl.h"

/* Of scopes within scopes, and of members within members. */
#define DEPTH_MAX 32

static bool add_variable(struct debug_info *debug, const struct variable *v)
{
	if (debug->variable_count == debug->variable_capacity) {
		size_t want = debug->variable_capacity * 2 + 64;
		struct variable *more = reallocarray(
			debug->variables, want, sizeof(*more));

		if (!more)
			return false;
		debug->variables = more;
		debug->variable_capacity = want;
	}
	debug->variables[debug->variable_count++] = *v;
	return true;
}

/* A location that is one fixed address: in place, or, as clang writes it, an
 * index into the table of addresses. */
static bool fixed_address(Dwarf_Die *die, uint64_t *out)
{
	Dwarf_Attribute attr, indexed;
	Dwarf_Addr address;
	Dwarf_Op *ops;
	size_t count;

	if (!dwarf_attr_integrate(die, DW_AT_location, &attr) ||
		dwarf_getlocation(&attr, &ops, &count) || count != 1)
		return false;
	if (ops[0].atom == DW_OP_addr) {
		*out = ops[0].number;
		return true;
	}
	if (ops[0].atom != DW_OP_addrx ||
		dwarf_getlocation_attr(&attr, &ops[0], &indexed) ||
		dwarf_formaddr(&indexed, &address))
		return false;
	*out = address;
	return true;
}

/* The type of a DIE without its typedefs and qualifiers. */
static bool type_of(Dwarf_Die *die, Dwarf_Die *out)
{
	Dwarf_Attribute attr;
	Dwarf_Die type;

	return dwarf_attr_integrate(die, DW_AT_type, &attr) &&
		dwarf_formref_die(&attr, &type) &&
		dwarf_peel_type(&type, out) == 0;
}

static bool size_of(Dwarf_Die *type, uint64_t *out)
{
	Dwarf_Word size;

	if (dwarf_aggregate_size(type, &size) || !size)
		return false;
	*out = size;
	return true;
}

static bool take_variable(struct debug_info *debug, Dwarf_Die *die)
{
	struct variable v = { .die = *die, .name = dwarf_diename(die) };
	Dwarf_Die type;

	if (!v.name || !fixed_address(die, &v.address) ||
		!type_of(die, &type) || !size_of(&type, &v.size) ||
		v.address > UINT64_MAX - v.size)
		return true; /* nothing we can name */
	return add_variable(debug, &v);
}

static bool is_scope(int tag)
{
	return tag == DW_TAG_subprogram || tag == DW_TAG_lexical_block ||
		tag == DW_TAG_namespace;
}

/* Variables of a scope, those of the scopes in it included (static ones of
 * functions have fixed addresses, too). */
static bool collect(struct debug_info *debug, Dwarf_Die *scope, int depth)
{
	Dwarf_Die die;

	if (depth > DEPTH_MAX || dwarf_child(scope, &die))
		return true;
	do {
		int tag = dwarf_tag(&die);

		if (tag == DW_TAG_variable && !take_variable(debug, &die))
			return false;
		if (is_scope(tag) && !collect(debug, &die, depth + 1))
			return false;
	} while (dwarf_siblingof(&die, &die) == 0);
	return true;
}

static int compare_variables(const void *a, const void *b)
{
	const struct variable *x = a, *y = b;

	if (x->address != y->address)
		return x->address < y->address ? -1 : 1;
	return x->size < y->size ? -1 : x->size > y->size;
}

/* With the lock held. */
static struct debug_info *variables_of(struct image *image)
{
	struct debug_info *debug = image_debug(image);
	Dwarf_Off offset = 0, next;
	size_t header_size;

	if (debug->variables_tried || !debug->dwarf)
		return debug;
	debug->variables_tried = true;
	while (dwarf_nextcu(debug->dwarf, offset, &next, &header_size, NULL,
		       NULL, NULL) == 0) {
		Dwarf_Die unit;

		if (dwarf_offdie(debug->dwarf, offset + header_size, &unit) &&
			!collect(debug, &unit, 0))
			break;
		offset = next;
	}
	if (debug->variable_count)
		qsort(debug->variables, debug->variable_count,
			sizeof(*debug->variables), compare_variables);
	return debug;
}

/* ---- members ---- */

static bool is_aggregate(Dwarf_Die *type)
{
	int tag = dwarf_tag(type);

	return tag == DW_TAG_structure_type || tag == DW_TAG_union_type ||
		tag == DW_TAG_class_type;
}

struct member {
	const char *name; /* NULL: an unnamed struct or union */
	uint64_t offset, size;
	Dwarf_Die type;
};

static bool word_attribute(Dwarf_Die *die, unsigned name, uint64_t *out)
{
	Dwarf_Attribute attr;
	Dwarf_Word word;

	if (!dwarf_attr(die, name, &attr) || dwarf_formudata(&attr, &word))
		return false;
	*out = word;
	return true;
}

/* A bit-field is the bytes that hold its bits. */
static void place_bits(Dwarf_Die *die, struct member *out)
{
	uint64_t first, bits;

	if (!word_attribute(die, DW_AT_bit_size, &bits) || !bits ||
		bits > 128 ||
		!word_attribute(die, DW_AT_data_bit_offset, &first))
		return;
	out->offset = first / 8;
	out->size = (first + bits - 1) / 8 - out->offset + 1;
}

static bool read_member(Dwarf_Die *die, struct member *out)
{
	*out = (struct member){ .name = dwarf_diename(die) };
	if (dwarf_tag(die) != DW_TAG_member || !type_of(die, &out->type) ||
		!size_of(&out->type, &out->size))
		return false;
	if (!word_attribute(
		    die, DW_AT_data_member_location, &out->offset))
		out->offset = 0; /* of a union */
	place_bits(die, out);
	return true;
}

/* Find a member by name, also inside unnamed ones; by depth of those. */
static bool member_called(Dwarf_Die *type, const char *name, size_t len,
	struct member *out, int depth)
{
	Dwarf_Die die;

	if (depth > DEPTH_MAX || dwarf_child(type, &die))
		return false;
	do {
		struct member m;

		if (!read_member(&die, &m))
			continue;
		if (m.name && strlen(m.name) == len &&
			!memcmp(m.name, name, len)) {
			*out = m;
			return true;
		}
		if (!m.name && is_aggregate(&m.type) &&
			member_called(&m.type, name, len, out, depth + 1)) {
			out->offset += m.offset;
			return true;
		}
	} while (dwarf_siblingof(&die, &die) == 0);
	return false;
}

static void list_members(Dwarf_Die *type, struct buf *out)
{
	Dwarf_Die die;
	unsigned count = 0;

	if (dwarf_child(type, &die))
		return;
	do {
		const char *name = dwarf_diename(&die);

		if (name && dwarf_tag(&die) == DW_TAG_member)
			buf_printf(out, "%s%s", count++ ? ", " : "", name);
	} while (count < 12 && dwarf_siblingof(&die, &die) == 0);
}

/* ---- arrays ---- */

static bool dimension_count(Dwarf_Die *subrange, uint64_t *out)
{
	uint64_t bound;

	if (dwarf_tag(subrange) != DW_TAG_subrange_type)
		return false;
	if (word_attribute(subrange, DW_AT_count, out))
		return *out != 0;
	if (!word_attribute(subrange, DW_AT_upper_bound, &bound) ||
		bound == UINT64_MAX)
		return false;
	*out = bound + 1;
	return true;
}

struct element {
	uint64_t count, size; /* how many of them, and the bytes of one */
	bool last; /* of the last dimension: of the array's own type */
};

/* The elements of dimension n of an array; rows, for all but the last. */
static bool array_dimension(Dwarf_Die *type, unsigned n, struct element *out)
{
	Dwarf_Die die;
	uint64_t total;

	if (dwarf_tag(type) != DW_TAG_array_type || !size_of(type, &total) ||
		dwarf_child(type, &die))
		return false;
	for (;; n--) {
		if (!dimension_count(&die, &out->count) ||
			total % out->count)
			return false;
		total /= out->count;
		out->last = dwarf_siblingof(&die, &die) != 0;
		if (!n)
			break;
		if (out->last)
			return false;
	}
	out->size = total;
	return total != 0;
}

/* ---- from a path to an address ---- */

struct walk {
	const char *whole; /* for messages */
	const char *at; /* what is left of the path */
	uint64_t address, size;
	Dwarf_Die type;
	bool has_type;
	unsigned dimension; /* of the array that type is */
	struct error *err;
};

static int walk_member(struct walk *w)
{
	size_t len = strcspn(++w->at, ".[");
	struct member m;

	if (w->has_type && is_aggregate(&w->type) &&
		member_called(&w->type, w->at, len, &m, 0)) {
		w->at += len;
		w->address += m.offset;
		w->size = m.size;
		w->type = m.type;
		w->dimension = 0;
		return 0;
	}
	if (w->has_type && is_aggregate(&w->type)) {
		struct buf names = BUF_INIT;

		list_members(&w->type, &names);
		error_set(w->err, -ENOENT, "%.*s has no member '%.*s'; it has "
			"%s",
			(int)(w->at - 1 - w->whole), w->whole, (int)len, w->at,
			buf_str(&names));
		buf_fini(&names);
		return -ENOENT;
	}
	return error_set(w->err, -ENOENT, "%.*s is no struct or union",
		(int)(w->at - 1 - w->whole), w->whole);
}

static int walk_element(struct walk *w)
{
	struct element element;
	uint64_t index;
	const char *start = w->at;
	char *end;

	errno = 0;
	index = strtoull(start + 1, &end, 0);
	if (errno || end == start + 1 || *end != ']' || start[1] == '-')
		return error_set(w->err, -EINVAL,
			"'%s' is not an index in brackets", start);
	w->at = end + 1;
	if (!w->has_type ||
		!array_dimension(&w->type, w->dimension, &element))
		return error_set(w->err, -ENOENT, "%.*s is no array",
			(int)(start - w->whole), w->whole);
	if (index >= element.count)
		return error_set(w->err, -EINVAL,
			"%.*s has %llu elements: there is no [%llu]",
			(int)(start - w->whole), w->whole,
			(unsigned long long)element.count,
			(unsigned long long)index);
	w->address += index * element.size;
	w->size = element.size;
	w->dimension++;
	if (element.last) {
		w->has_type = type_of(&w->type, &w->type);
		w->dimension = 0;
	}
	return 0;
}

static const struct variable *variable_called(
	const struct debug_info *debug, const char *name, size_t len)
{
	for (size_t i = 0; i < debug->variable_count; i++) {
		const struct variable *v = &debug->variables[i];

		if (strlen(v->name) == len && !memcmp(v->name, name, len))
			return v;
	}
	return NULL;
}

/* With the lock held. */
static int find_field(struct image *image, const char *path, uint64_t *out,
	uint64_t *out_size, struct error *err)
{
	const struct debug_info *debug = variables_of(image);
	size_t len = strcspn(path, ".[");
	const struct variable *v = variable_called(debug, path, len);
	struct walk w = { .whole = path,
		.at = path + len,
		.err = err };
	Dwarf_Die die;
	int rc = 0;

	if (!v)
		return error_set(err, -ENOENT,
			"%s has no debug information for a variable '%.*s'",
			image->name, (int)len, path);
	w.address = v->address;
	w.size = v->size;
	die = v->die;
	w.has_type = type_of(&die, &w.type);
	while (!rc && *w.at) {
		if (*w.at == '.')
			rc = walk_member(&w);
		else if (*w.at == '[')
			rc = walk_element(&w);
		else
			rc = error_set(err, -EINVAL,
				"'%s' is neither a member nor an index", w.at);
	}
	*out = w.address;
	*out_size = w.size;
	return rc;
}

int image_find_field(const struct image *image, const char *path,
	uint64_t *out_address, uint64_t *out_size, struct error *err)
{
	struct image *cached = (struct image *)image;
	int rc;

	pthread_mutex_lock(&cached->lock);
	rc = find_field(cached, path, out_address, out_size, err);
	pthread_mutex_unlock(&cached->lock);
	return rc;
}

/* ---- from an address to a path ---- */

static const struct variable *variable_at(
	const struct debug_info *debug, uint64_t address)
{
	size_t low = 0, high = debug->variable_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (debug->variables[middle].address <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address - debug->variables[low - 1].address >=
			debug->variables[low - 1].size)
		return NULL;
	return &debug->variables[low - 1];
}

/*
 * Append the path of byte offset inside a thing of this type; what no type
 * explains is "+n". Returns whether the path ends at a thing of exactly size
 * bytes: of the members of a union, the one that fits is meant.
 */
static bool describe(Dwarf_Die *type, unsigned dimension, uint64_t offset,
	uint64_t size, struct buf *out, int depth);

static void cut(struct buf *out, size_t len)
{
	if (out->len <= len)
		return;
	out->len = len;
	out->data[len] = '\0';
}

static bool describe_member(Dwarf_Die *type, uint64_t offset, uint64_t size,
	struct buf *out, int depth, bool *out_exact)
{
	size_t start = out->len;
	struct buf first = BUF_INIT;
	bool found = false;
	Dwarf_Die die;

	*out_exact = false;
	if (dwarf_child(type, &die))
		return false;
	do {
		struct member m;

		if (!read_member(&die, &m) || offset < m.offset ||
			offset - m.offset >= m.size)
			continue;
		if (m.name)
			buf_printf(out, ".%s", m.name);
		*out_exact = describe(&m.type, 0, offset - m.offset, size, out,
			depth + 1);
		if (!found)
			buf_add(&first, out->data + start, out->len - start);
		found = true;
		if (!*out_exact)
			cut(out, start);
	} while (!*out_exact && dwarf_siblingof(&die, &die) == 0);
	if (found && !*out_exact)
		buf_add(out, first.data, first.len);
	buf_fini(&first);
	return found;
}

static bool describe(Dwarf_Die *type, unsigned dimension, uint64_t offset,
	uint64_t size, struct buf *out, int depth)
{
	struct element element;
	uint64_t whole = 0;
	bool exact;
	Dwarf_Die inner;

	if (depth < DEPTH_MAX && is_aggregate(type) &&
		describe_member(type, offset, size, out, depth, &exact))
		return exact;
	if (depth < DEPTH_MAX && array_dimension(type, dimension, &element)) {
		buf_printf(out, "[%llu]",
			(unsigned long long)(offset / element.size));
		offset %= element.size;
		if (!element.last)
			return describe(type, dimension + 1, offset, size, out,
				depth + 1);
		if (type_of(type, &inner))
			return describe(
				&inner, 0, offset, size, out, depth + 1);
	}
	if (offset)
		buf_printf(out, "+%llu", (unsigned long long)offset);
	return !offset && size_of(type, &whole) && whole == size;
}

bool image_describe_data(const struct image *image, uint64_t address,
	uint64_t size, struct buf *out)
{
	struct image *cached = (struct image *)image;
	const struct variable *v;
	Dwarf_Die die, type;

	pthread_mutex_lock(&cached->lock);
	v = variable_at(variables_of(cached), address);
	if (v) {
		die = v->die;
		buf_add_str(out, v->name);
		if (type_of(&die, &type))
			describe(&type, 0, address - v->address, size, out, 0);
	}
	pthread_mutex_unlock(&cached->lock);
	return v != NULL;
}
