/* SPDX-License-Identifier: MIT */
/* The files a description names. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system/system.h"

char *system_path(struct system *system, const char *path)
{
	const char *slash = strrchr(system->path, '/');
	size_t dir = slash ? (size_t)(slash - system->path) + 1 : 0;
	char *out;

	if (path[0] == '/')
		dir = 0;
	out = system_alloc(system, dir + strlen(path) + 1);
	if (!out)
		return NULL;
	memcpy(out, system->path, dir);
	strcpy(out + dir, path);
	return out;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool is_directory(const char *path)
{
	struct stat about;

	return !stat(path, &about) && S_ISDIR(about.st_mode);
}

/* DIRECTORY/NAME if that is there, else NULL. */
static const char *look_in(
	struct system *system, const char *directory, const char *name)
{
	size_t len = strlen(directory);
	char *path = system_alloc(system, len + strlen(name) + 2);

	if (!path)
		return NULL;
	memcpy(path, directory, len);
	path[len] = '/';
	strcpy(path + len + 1, name);
	return access(path, F_OK) ? NULL : path;
}

/* The first of given that is the file, or has it in it; NULL: none. */
static const char *find_given(struct system *system, const char *file,
	const char *const *given, size_t given_count)
{
	const char *name = base_name(file), *path;

	for (size_t i = 0; i < given_count; i++) {
		if (!is_directory(given[i]))
			path = strcmp(base_name(given[i]), name) ? NULL
								 : given[i];
		else
			path = look_in(system, given[i], name);
		if (path)
			return path;
	}
	return NULL;
}

static int open_program(struct system *system, struct system_object *program,
	const char *const *given, size_t given_count, struct error *err)
{
	const char *path =
		find_given(system, program->file, given, given_count);
	int ret;

	if (!path)
		path = system_path(system, program->file);
	if (!path)
		return error_set(err, -ENOMEM, "out of memory");
	program->path = path;
	ret = image_open(path, &program->image, err);
	return ret ? error_prefix(err, "%s:%u: program `%s'", system->path,
			     program->line, program->name)
		   : 0;
}

/* Nobody would ever start it: the name is wrong, or the description. */
static int check_given(
	struct system *system, const char *given, struct error *err)
{
	if (is_directory(given))
		return 0;
	for (uint32_t i = 0; i < system->count; i++) {
		const struct system_object *o = system->objects[i];

		if (o->kind == SYSTEM_PROGRAM && o->file &&
			!strcmp(base_name(o->file), base_name(given)))
			return 0;
	}
	return error_set(err, -EINVAL, "%s: names no program `%s' (-m %s)",
		system->path, base_name(given), given);
}

int system_open_programs(struct system *system, const char *const *given,
	size_t given_count, struct error *err)
{
	unsigned count = 0;
	int ret;

	for (uint32_t i = 0; i < system->count; i++) {
		struct system_object *o = system->objects[i];

		if (o->kind != SYSTEM_PROGRAM)
			continue;
		if (++count > SYSTEM_PROGRAMS_MAX)
			return system_fail(system, o->line, err,
				"program `%s': more than %d programs", o->name,
				SYSTEM_PROGRAMS_MAX);
		if (!o->file)
			return system_fail(system, o->line, err,
				"program `%s' has no file", o->name);
		ret = open_program(system, o, given, given_count, err);
		if (ret)
			return ret;
	}
	for (size_t i = 0; i < given_count; i++)
		if ((ret = check_given(system, given[i], err)))
			return ret;
	return 0;
}
