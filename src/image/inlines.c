/* SPDX-License-Identifier: MIT */
/* Functions that were inlined where an instruction is, from libdw's scopes. */
#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#include "image/image_impl.h"

/* The unit that covers address, looked for in all: not every compiler writes
 * an index. */
static bool find_unit(Dwarf *dwarf, uint64_t address, Dwarf_Die *out)
{
	Dwarf_Off offset = 0, next;
	size_t header_size;

	while (dwarf_nextcu(dwarf, offset, &next, &header_size, NULL, NULL,
		       NULL) == 0) {
		if (dwarf_offdie(dwarf, offset + header_size, out) &&
			dwarf_haspc(out, address) > 0)
			return true;
		offset = next;
	}
	return false;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The file and line of the call that was replaced by die. */
static void read_call(
	Dwarf_Die *unit, Dwarf_Die *die, struct image_inline *out)
{
	Dwarf_Attribute attr;
	Dwarf_Word file, line;
	Dwarf_Files *files;
	size_t count;
	const char *path;

	if (!dwarf_attr(die, DW_AT_call_line, &attr) ||
		dwarf_formudata(&attr, &line) || line > INT32_MAX)
		return;
	if (!dwarf_attr(die, DW_AT_call_file, &attr) ||
		dwarf_formudata(&attr, &file) ||
		dwarf_getsrcfiles(unit, &files, &count) || file >= count)
		return;
	path = dwarf_filesrc(files, file, NULL, NULL);
	if (!path)
		return;
	out->call_file = base_name(path);
	out->call_line = (int)line;
}

static size_t read_scopes(Dwarf_Die *unit, Dwarf_Die *scopes, int count,
	struct image_inline *out, size_t max)
{
	size_t n = 0;

	for (int i = 0; i < count && n < max; i++) {
		if (dwarf_tag(&scopes[i]) == DW_TAG_subprogram)
			break;
		if (dwarf_tag(&scopes[i]) != DW_TAG_inlined_subroutine)
			continue;
		out[n] = (struct image_inline){
			.function = dwarf_diename(&scopes[i]),
		};
		if (!out[n].function)
			out[n].function = "?";
		read_call(unit, &scopes[i], &out[n]);
		n++;
	}
	return n;
}

size_t image_inlines_at(const struct image *image, uint64_t address,
	struct image_inline *out, size_t max)
{
	struct image *cached = (struct image *)image;
	const struct debug_info *debug;
	Dwarf_Die unit, *scopes = NULL, *parents = NULL;
	size_t n = 0;
	int count;

	pthread_mutex_lock(&cached->lock);
	debug = image_debug(cached);
	if (debug->dwarf && find_unit(debug->dwarf, address, &unit)) {
		/* Behind an inlined function these go on with the scopes of
		 * its definition; we want those around the place. */
		count = dwarf_getscopes(&unit, address, &scopes);
		if (count > 0)
			count = dwarf_getscopes_die(&scopes[0], &parents);
		n = read_scopes(&unit, parents, count, out, max);
		free(parents);
		free(scopes);
	}
	pthread_mutex_unlock(&cached->lock);
	return n;
}
