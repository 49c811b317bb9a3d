/* SPDX-License-Identifier: MIT */
/* The receive loop of keepers, and those that are ready-made. */
#include <custos/guest_keeper.h>

void keeper_init(struct keeper *keeper, uint32_t endpoint,
	const struct keeper_ops *ops, void *context)
{
	unsigned i;

	memset(keeper, 0, offsetof(struct keeper, string));
	keeper->endpoint = endpoint;
	keeper->ops = ops;
	keeper->context = context;
	for (i = 0; i < CUSTOS_MESSAGE_CAPS; i++)
		keeper->slots[i] = cap_slot_alloc();
}

void keeper_stop(struct keeper *keeper)
{
	keeper->stopped = true;
}

uint32_t keeper_resume(const struct keeper *keeper)
{
	return keeper->pending ? keeper->slots[0] : 0;
}

uint32_t keeper_defer(struct keeper *keeper)
{
	uint32_t slot = keeper_resume(keeper);

	if (!slot)
		return 0;
	keeper->slots[0] = cap_slot_alloc();
	keeper->pending = false;
	return slot;
}

uint32_t keeper_received(const struct keeper *keeper, unsigned i)
{
	if (keeper->message.flags & CUSTOS_MESSAGE_RESUME)
		i++;
	return i < keeper->message.cap_count ? keeper->message.caps[i] : 0;
}

/* The slot to answer with; it is used up. */
static uint32_t use(struct keeper *keeper)
{
	uint32_t slot = keeper_resume(keeper);

	keeper->pending = false;
	return slot;
}

int64_t keeper_done(struct keeper *keeper)
{
	return custos_resume_done(use(keeper));
}

int64_t keeper_value(struct keeper *keeper, const void *bytes, size_t size)
{
	return custos_resume_value(use(keeper), (uint64_t)bytes, size);
}

int64_t keeper_retry(struct keeper *keeper)
{
	return custos_resume_retry(use(keeper));
}

int64_t keeper_pass(struct keeper *keeper)
{
	return custos_resume_pass(use(keeper));
}

int64_t keeper_fault(struct keeper *keeper, uint64_t code)
{
	return custos_resume_fault(use(keeper), code);
}

int64_t keeper_step(struct keeper *keeper, uint32_t page, uint32_t rights)
{
	return custos_resume_step(use(keeper), page, rights);
}

int64_t keeper_grant(
	struct keeper *keeper, uint32_t page, uint32_t rights, bool once)
{
	return custos_resume_grant(use(keeper), page, rights, once);
}

int64_t keeper_cap(struct keeper *keeper, uint32_t slot)
{
	return custos_resume_cap(use(keeper), slot);
}

int64_t keeper_continue(struct keeper *keeper)
{
	return custos_resume_continue(use(keeper));
}

int64_t keeper_rollback(struct keeper *keeper)
{
	return custos_resume_rollback(use(keeper));
}

int64_t keeper_reply(struct keeper *keeper, struct custos_message *reply)
{
	return custos_resume_reply(use(keeper), (uint64_t)reply);
}

int64_t keeper_result(struct keeper *keeper, int64_t result)
{
	struct custos_message reply = {.words = {(uint64_t)result}};

	return keeper_reply(keeper, &reply);
}

static int64_t receive(struct keeper *keeper, uint64_t flags)
{
	struct custos_message *message = &keeper->message;
	int64_t result;

	message->string = (uint64_t)keeper->string;
	message->string_size = sizeof(keeper->string);
	message->cap_count = CUSTOS_MESSAGE_CAPS;
	memcpy(message->caps, keeper->slots, sizeof(message->caps));
	message->flags = 0;
	result = custos_endpoint_receive(
		keeper->endpoint, (uint64_t)message, flags);
	if (result)
		return result;
	keeper->payload = message->payload;
	keeper->pending = message->flags & CUSTOS_MESSAGE_RESUME;
	return 0;
}

/* What came is dropped, so that the slots are empty for the next. */
static void forget(struct keeper *keeper)
{
	uint32_t caps = cap_find("caps"), i;

	for (i = 0; i < keeper->message.cap_count; i++)
		if (i || keeper->message.caps[0] == keeper->slots[0])
			custos_cappage_drop(caps, keeper->message.caps[i]);
	keeper->message.cap_count = 0;
	keeper->pending = false;
}

static void on_access(struct keeper *keeper)
{
	const struct custos_access *access = (const void *)keeper->string;

	if (keeper->ops->access)
		keeper->ops->access(keeper, access);
	if (keeper->pending)
		keeper_pass(keeper);
}

static void on_stepped(struct keeper *keeper)
{
	const struct custos_stepped *stepped = (const void *)keeper->string;

	if (keeper->ops->stepped)
		keeper->ops->stepped(keeper, stepped);
	if (keeper->pending)
		keeper_continue(keeper);
}

static void on_fault(struct keeper *keeper)
{
	const struct custos_access *access = (const void *)keeper->string;
	uint64_t code = keeper->message.words[1];

	if (keeper->ops->fault)
		keeper->ops->fault(keeper, code, access);
	if (keeper->pending)
		keeper_fault(keeper, code);
}

static void on_exhausted(struct keeper *keeper)
{
	const uint64_t *words = keeper->message.words;
	const struct keeper_exhausted what = {
		.type = words[2], .va = words[3], .seq = words[4]};

	if (keeper->ops->exhausted)
		keeper->ops->exhausted(keeper, &what);
	if (keeper->pending)
		keeper_fault(keeper, CUSTOS_FAULT_LIMIT_REACHED);
}

static void on_call(struct keeper *keeper)
{
	const uint64_t *words = keeper->message.words;

	if (keeper->ops->call)
		keeper->ops->call(keeper, words[0], words + 1);
	if (keeper->pending)
		keeper_result(keeper, -CUSTOS_E_UNKNOWN_REQUEST);
}

static void on_kernel(struct keeper *keeper)
{
	const uint64_t *words = keeper->message.words;

	switch (words[0]) {
	case CUSTOS_MESSAGE_ACCESS:
		on_access(keeper);
		break;
	case CUSTOS_MESSAGE_STEPPED:
		on_stepped(keeper);
		break;
	case CUSTOS_MESSAGE_FAULT:
		on_fault(keeper);
		break;
	case CUSTOS_MESSAGE_EXHAUSTED:
		on_exhausted(keeper);
		break;
	case CUSTOS_MESSAGE_HOLE:
		if (keeper->ops->hole)
			keeper->ops->hole(keeper, words[1], words[2]);
		break;
	case CUSTOS_MESSAGE_NOTICE:
		if (keeper->ops->notice)
			keeper->ops->notice(keeper, words[1]);
		break;
	default:
		on_call(keeper);
	}
}

/* A process's own message: it may say anything but the kernel's words. */
static void on_process(struct keeper *keeper)
{
	if (keeper->message.words[0] >= CUSTOS_MESSAGE_ACCESS &&
		keeper->message.words[0] <= CUSTOS_MESSAGE_NOTICE)
		keeper->forged++;
	else if (keeper->ops->message)
		keeper->ops->message(keeper, &keeper->message);
	if (keeper->pending)
		keeper_result(keeper, -CUSTOS_E_UNKNOWN_REQUEST);
}

int64_t keeper_once(struct keeper *keeper, uint64_t flags)
{
	int64_t result = receive(keeper, flags);

	if (result)
		return result;
	if (keeper->message.flags & CUSTOS_MESSAGE_KERNEL)
		on_kernel(keeper);
	else
		on_process(keeper);
	forget(keeper);
	return 0;
}

int64_t keeper_run(struct keeper *keeper)
{
	int64_t result = 0;

	while (!keeper->stopped && !result)
		result = keeper_once(keeper, 0);
	return result;
}

/* Both may be waited for, but not by one call: look at each, now and then. */
int64_t keeper_run_for(struct keeper *keeper, uint32_t process)
{
	int64_t result;

	for (;;) {
		bool ended = custos_process_state(process) ==
			     CUSTOS_STATE_ENDED;

		result = keeper_once(keeper, CUSTOS_NO_WAIT);
		if (result && result != -CUSTOS_E_WOULD_BLOCK)
			return result;
		if (result && ended)
			return 0;
		if (result)
			sleep_ms(1);
	}
}

bool keeper_is_store(const struct custos_access *access)
{
	return custos_access_is_store(access->kind);
}

const char *keeper_kind_name(unsigned kind)
{
	static const char *const names[] = {"load", "store", "rmw_load",
		"rmw_store", "fetch", "cload", "cstore", "syscall_load",
		"syscall_store", "ipc_src", "ipc_dst"};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

void keeper_format(char *to, size_t size, const struct custos_access *access)
{
	int at = snprintf(to, size, "%s 0x%lx %u",
		keeper_kind_name(access->kind), access->offset, access->size);

	if (!keeper_is_store(access) || access->kind == CUSTOS_ACCESS_CSTORE)
		return;
	at += snprintf(to + at, size - (size_t)at, " = ");
	for (unsigned i = 0; i < access->size && at + 3 < (int)size; i++)
		at += snprintf(to + at, size - (size_t)at, "%02x",
			access->value[i]);
}

/* ---- ready-made ---- */

static void store_access(
	struct keeper *keeper, const struct custos_access *access)
{
	const struct keeper_store *store = keeper->context;
	uint64_t size = access->size;

	if (access->kind == CUSTOS_ACCESS_CLOAD ||
		access->kind == CUSTOS_ACCESS_CSTORE) {
		keeper_fault(keeper, CUSTOS_FAULT_CAP_TYPE);
		return;
	}
	if (access->offset >= store->size) {
		keeper_fault(keeper, CUSTOS_FAULT_INVALID_ADDRESS);
		return;
	}
	/* A fetch may end early. */
	if (size > store->size - access->offset)
		size = store->size - access->offset;
	if (size < access->size && access->kind != CUSTOS_ACCESS_FETCH) {
		keeper_fault(keeper, CUSTOS_FAULT_INVALID_ADDRESS);
	} else if (keeper_is_store(access)) {
		memcpy(store->bytes + access->offset, access->value, size);
		keeper_done(keeper);
	} else {
		keeper_value(keeper, store->bytes + access->offset, size);
	}
}

const struct keeper_ops keeper_store_ops = {.access = store_access};

static void log_access(
	struct keeper *keeper, const struct custos_access *access)
{
	struct keeper_log *log = keeper->context;
	char line[200];

	log->count++;
	keeper_format(line, sizeof(line), access);
	printf("%s\n", line);
	if (!log->ops || !log->ops->access)
		return;
	keeper->context = log->context;
	log->ops->access(keeper, access);
	keeper->context = log;
}

static void log_stepped(
	struct keeper *keeper, const struct custos_stepped *stepped)
{
	struct keeper_log *log = keeper->context;

	if (!log->ops || !log->ops->stepped)
		return;
	keeper->context = log->context;
	log->ops->stepped(keeper, stepped);
	keeper->context = log;
}

const struct keeper_ops keeper_log_ops = {
	.access = log_access, .stepped = log_stepped};

static void stepper_access(
	struct keeper *keeper, const struct custos_access *access)
{
	struct keeper_stepper *stepper = keeper->context;

	(void)access;
	keeper_step(keeper, stepper->page, stepper->rights);
}

static void stepper_stepped(
	struct keeper *keeper, const struct custos_stepped *stepped)
{
	struct keeper_stepper *stepper = keeper->context;

	stepper->steps++;
	if (stepper->seen)
		stepper->seen(stepper, stepped);
	if (stepped->fault)
		keeper_fault(keeper, stepped->fault);
	else
		keeper_continue(keeper);
}

const struct keeper_ops keeper_stepper_ops = {
	.access = stepper_access, .stepped = stepper_stepped};
