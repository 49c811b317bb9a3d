/* SPDX-License-Identifier: MIT */
/* printf and its kin, over one buffer that goes to the console by lines. */
#include <custos/guest.h>

#define BUFFER_SIZE 512

struct sink {
	bool console; /* else into to[size] */
	char *to;
	size_t size;
	size_t count; /* characters so far, whether they fit or not */
};

struct spec {
	bool left, zero;
	int width, precision; /* precision -1: none */
	int longs;	      /* -2 char, -1 short, 0 int, 1 or more 64-bit */
};

static char buffer[BUFFER_SIZE];
static size_t buffered;

void flush(void)
{
	size_t size = buffered;

	buffered = 0;
	if (size)
		custos_console_write(
			cap_find("console"), (uint64_t)buffer, size);
}

static void put(struct sink *sink, char c)
{
	if (!sink->console && sink->count + 1 < sink->size)
		sink->to[sink->count] = c;
	sink->count++;
	if (!sink->console)
		return;
	buffer[buffered++] = c;
	if (buffered == BUFFER_SIZE || c == '\n')
		flush();
}

static void pad(struct sink *sink, char c, int count)
{
	for (; count > 0; count--)
		put(sink, c);
}

static void put_field(struct sink *sink, const struct spec *spec,
	const char *prefix, const char *text, int size, int zeros)
{
	int prefix_size = (int)strlen(prefix);
	int space = spec->width - size - prefix_size - zeros;

	if (!spec->left)
		pad(sink, ' ', space);
	while (*prefix)
		put(sink, *prefix++);
	pad(sink, '0', zeros);
	for (int i = 0; i < size; i++)
		put(sink, text[i]);
	if (spec->left)
		pad(sink, ' ', space);
}

static void put_number(struct sink *sink, const struct spec *spec,
	const char *prefix, uint64_t value, unsigned base, bool upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	char text[24];
	int at = sizeof(text), size, zeros = 0;

	do {
		text[--at] = digits[value % base];
		value /= base;
	} while (value);
	size = (int)sizeof(text) - at;
	if (spec->precision > size)
		zeros = spec->precision - size;
	else if (spec->zero && !spec->left && spec->precision < 0)
		zeros = spec->width - size - (int)strlen(prefix);
	put_field(sink, spec, prefix, text + at, size, zeros > 0 ? zeros : 0);
}

static void put_string(
	struct sink *sink, const struct spec *spec, const char *text)
{
	int size = 0;

	if (!text)
		text = "(null)";
	while ((spec->precision < 0 || size < spec->precision) && text[size])
		size++;
	put_field(sink, spec, "", text, size, 0);
}

static int64_t narrow_signed(int64_t value, int longs)
{
	if (longs > 0)
		return value;
	return longs == 0    ? (int)value
	       : longs == -1 ? (short)value
			     : (signed char)value;
}

static uint64_t narrow_unsigned(uint64_t value, int longs)
{
	if (longs > 0)
		return value;
	return longs == 0    ? (unsigned)value
	       : longs == -1 ? (unsigned short)value
			     : (uint8_t)value;
}

static int number_or_star(const char **at, va_list *args)
{
	int value = 0;

	if (**at == '*') {
		(*at)++;
		return va_arg(*args, int);
	}
	for (; **at >= '0' && **at <= '9'; (*at)++)
		value = value * 10 + (**at - '0');
	return value;
}

static const char *parse_spec(struct spec *spec, const char *at, va_list *args)
{
	*spec = (struct spec){.precision = -1};
	for (; *at == '-' || *at == '0'; at++) {
		spec->left |= *at == '-';
		spec->zero |= *at == '0';
	}
	spec->width = number_or_star(&at, args);
	if (*at == '.') {
		at++;
		spec->precision = number_or_star(&at, args);
	}
	for (; *at == 'l' || *at == 'z' || *at == 'h'; at++)
		spec->longs += *at == 'h' ? -1 : 1;
	return at;
}

static void put_signed(
	struct sink *sink, const struct spec *spec, int64_t value)
{
	uint64_t magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;

	put_number(sink, spec, value < 0 ? "-" : "", magnitude, 10, false);
}

static void put_spec(struct sink *sink, const struct spec *spec,
	char conversion, va_list *args)
{
	switch (conversion) {
	case 'd':
	case 'i':
		put_signed(sink, spec,
			narrow_signed(spec->longs > 0 ? va_arg(*args, int64_t)
						      : va_arg(*args, int),
				spec->longs));
		break;
	case 'u':
	case 'x':
	case 'X':
		put_number(sink, spec, "",
			narrow_unsigned(spec->longs > 0
						? va_arg(*args, uint64_t)
						: va_arg(*args, unsigned),
				spec->longs),
			conversion == 'u' ? 10 : 16, conversion == 'X');
		break;
	case 'p':
		put_number(sink, spec, "0x", (uint64_t)va_arg(*args, void *),
			16, false);
		break;
	case 's':
		put_string(sink, spec, va_arg(*args, const char *));
		break;
	case 'c':
		pad(sink, ' ', spec->left ? 0 : spec->width - 1);
		put(sink, (char)va_arg(*args, int));
		pad(sink, ' ', spec->left ? spec->width - 1 : 0);
		break;
	default:
		put(sink, conversion);
	}
}

static int print(struct sink *sink, const char *format, va_list *args)
{
	struct spec spec;

	for (; *format; format++) {
		if (*format != '%') {
			put(sink, *format);
			continue;
		}
		format = parse_spec(&spec, format + 1, args);
		if (!*format)
			break;
		put_spec(sink, &spec, *format, args);
	}
	return (int)sink->count;
}

int vprintf(const char *format, va_list args)
{
	struct sink sink = {.console = true};
	va_list copy;
	int count;

	va_copy(copy, args);
	count = print(&sink, format, &copy);
	va_end(copy);
	return count;
}

int printf(const char *format, ...)
{
	va_list args;
	int count;

	va_start(args, format);
	count = vprintf(format, args);
	va_end(args);
	return count;
}

int vsnprintf(char *to, size_t size, const char *format, va_list args)
{
	struct sink sink = {.to = to, .size = size};
	va_list copy;
	int count;

	va_copy(copy, args);
	count = print(&sink, format, &copy);
	va_end(copy);
	if (size)
		to[sink.count < size ? sink.count : size - 1] = '\0';
	return count;
}

int snprintf(char *to, size_t size, const char *format, ...)
{
	va_list args;
	int count;

	va_start(args, format);
	count = vsnprintf(to, size, format, args);
	va_end(args);
	return count;
}

void mark(const char *format, ...)
{
	char text[CUSTOS_MARK_MAX + 1];
	va_list args;
	int count;

	va_start(args, format);
	count = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	custos_process_mark(cap_find("self"), (uint64_t)text,
		count < CUSTOS_MARK_MAX ? (uint64_t)count : CUSTOS_MARK_MAX);
}

int puts(const char *string)
{
	return printf("%s\n", string);
}
