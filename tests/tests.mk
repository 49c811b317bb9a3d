# Tests. docs/TESTING.md says what goes where:
#   tests/unit/<module>/<what>_test.c  one CMocka program each, needs no KVM
#   tests/vm/<what>_test.c             one CMocka program each, needs KVM
#   tests/<where>/<what>_test.sh, examples/<name>/test.sh  scripts
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*_test.c))
VM_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/vm/*_test.c))
PROJECT_TESTS := $(wildcard tests/project/*_test.sh)
CLI_TESTS := $(wildcard tests/cli/*_test.sh)
EXAMPLE_TESTS := $(wildcard examples/*/test.sh)
TESTS ?= $(PROJECT_TESTS) $(UNIT_TESTS) $(VM_TESTS) $(CLI_TESTS) \
	$(EXAMPLE_TESTS) tests/spec/spec_test.sh
SUPPORT_SRC := $(wildcard tests/support/*.c tests/support/*.S)
JOBS ?= 2
RUN_TESTS = CC="$(CC)" CUSTOS_CFLAGS="$(PKG_CFLAGS)" tests/support/run -j $(JOBS) -b $(BUILD)


# An archive, so that a test is linked only with the helpers that it uses.
TEST_SUPPORT := $(BUILD)/tests/support/libsupport.a
$(TEST_SUPPORT): $(call obj,$(SUPPORT_SRC))
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(UNIT_TESTS) $(VM_TESTS): %: %.c.o $(TEST_SUPPORT) $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -Wl,--start-group $^ -Wl,--end-group -o $@ \
		-lcmocka $(LDLIBS_ALL)

# What a test looks at: a program of its own, never run.
FIXTURE := $(BUILD)/tests/unit/image/fixture.elf
$(FIXTURE): tests/unit/image/fixture.c tests/unit/image/fixture.S
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -g -O1 -fno-pic -static -nostdlib -ffreestanding \
		-fcf-protection=none -Wl,--build-id=none $^ -o $@
$(BUILD)/tests/unit/image/debug_test: | $(FIXTURE)
$(BUILD)/tests/unit/keeper/plugin_test: | $(PLUGINS)
DATA_FIXTURE := $(BUILD)/tests/unit/image/data_fixture.elf
$(DATA_FIXTURE): tests/unit/image/data_fixture.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -g -O1 -fno-pic -no-pie -static -nostdlib -ffreestanding \
		-fcf-protection=none -Wl,--build-id=none $^ -o $@
$(BUILD)/tests/unit/image/data_test: | $(DATA_FIXTURE)

# What keepers and banks must do, one program each: tests/spec/spec.h.
SPEC_SRC := $(wildcard tests/spec/f[0-9]*.c)
SPEC_PROGRAMS := $(patsubst %.c,$(BUILD)/%.elf,$(SPEC_SRC))
$(BUILD)/tests/spec/%.c.o: tests/spec/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(PROGRAM_CFLAGS) $(GUEST_WARN) -c $< -o $@
$(SPEC_PROGRAMS): %.elf: %.c.o $(BUILD)/tests/spec/spec.c.o $(PROGRAM_DEPS)
	$(call say,LD,$@)
	$(Q)$(PROGRAM_LINK)
-include $(SPEC_SRC:%.c=$(BUILD)/%.c.d) $(BUILD)/tests/spec/spec.c.d

# A kernel that breaks at the first thing a program prints.
BROKEN_KERNEL := $(GUEST)/broken_kernel.elf
BROKEN_OBJ := $(BUILD)/tests/support/broken_kernel.o
$(BROKEN_OBJ): tests/support/broken/kernel.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(KERNEL_CFLAGS) $(GUEST_WARN) -c $< -o $@
$(BROKEN_KERNEL): $(KERNEL_OBJ) $(BROKEN_OBJ) guest/kernel/kernel.ld
	$(call say,LD,$@)
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,guest/kernel/kernel.ld \
		-Wl,--wrap=console_call_write $(KERNEL_OBJ) $(BROKEN_OBJ) -o $@

tests: all $(BROKEN_KERNEL) $(UNIT_TESTS) $(VM_TESTS) $(SPEC_PROGRAMS)

check: tests
	$(Q)$(RUN_TESTS) $(TESTS)
check-unit: $(UNIT_TESTS)
	$(Q)$(RUN_TESTS) $(UNIT_TESTS)
check-vm: all $(VM_TESTS)
	$(Q)$(RUN_TESTS) $(VM_TESTS)
check-cli: all $(BROKEN_KERNEL)
	$(Q)$(RUN_TESTS) $(CLI_TESTS) $(EXAMPLE_TESTS)
check-spec: all $(SPEC_PROGRAMS)
	$(Q)CUSTOS_BUILD=$(BUILD) CUSTOS=$(BUILD)/custos \
		sh tests/spec/spec_test.sh $(ROWS)
.PHONY: tests check check-unit check-vm check-cli check-spec
-include $(addsuffix .c.d,$(UNIT_TESTS) $(VM_TESTS)) \
	$(addprefix $(BUILD)/,$(addsuffix .d,$(SUPPORT_SRC)))

# ---- the same tests on stock kvm-amd, in a machine that QEMU emulates ----
SVM_TESTS ?= tests/svm/machine_test.sh tests/project/runner_test.sh \
	$(VM_TESTS) $(CLI_TESTS) $(EXAMPLE_TESTS) tests/spec/spec_test.sh
check-svm: all $(BROKEN_KERNEL) $(VM_TESTS) $(SPEC_PROGRAMS)
	$(Q)tests/svm/run -b $(BUILD) tests $(SVM_TESTS) || \
		{ code=$$?; [ $$code = 77 ] || exit $$code; }
.PHONY: check-svm

# ---- sanitizers: the host side only; guests are the guests' own business ----
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize:
	$(Q)UBSAN_OPTIONS=print_stacktrace=1 CUSTOS_TEST_TIMEOUT=300 \
		$(MAKE) BUILD=$(BUILD)/sanitize LDFLAGS="$(SANITIZE)" \
		OPT="-O1 -g -fno-omit-frame-pointer $(SANITIZE)" check
.PHONY: sanitize

# ---- fuzzing: tests/fuzz/<module>/<what>_fuzz.c, libFuzzer's entry ----
FUZZ_SECONDS ?= 30
FUZZ_PROGRAMS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/fuzz/*/*_fuzz.c))
$(FUZZ_PROGRAMS): %: %.c.o $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)
# The guest's kernel on the host, as its unit tests have it.
$(BUILD)/tests/fuzz/guest/kernel_fuzz: $(TEST_SUPPORT) $(HOST_KERNEL)
$(BUILD)/tests/fuzz/guest/kernel_fuzz: LDLIBS_ALL += -lcmocka
fuzz-run: $(FUZZ_PROGRAMS) $(FIXTURE)
	$(Q)mkdir -p $(BUILD)/tests/fuzz/image/image_fuzz.corpus
	$(Q)cp $(FIXTURE) $(BUILD)/tests/fuzz/image/image_fuzz.corpus/
	$(Q)mkdir -p $(BUILD)/tests/fuzz/system/describe_fuzz.corpus
	$(Q)for f in examples/*/system.lua \
		tests/fuzz/system/everything.lua; do cp $$f \
		$(BUILD)/tests/fuzz/system/describe_fuzz.corpus/$$(echo $$f | \
		tr / _); done
	$(Q)for f in $(FUZZ_PROGRAMS); do \
		mkdir -p $$f.corpus && $$f -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=$$f. -rss_limit_mb=2048 -timeout=10 \
			-print_final_stats=1 $$f.corpus || exit 1; done
fuzz:
	$(Q)command -v clang >/dev/null || \
		{ echo "make fuzz needs clang"; exit 1; }
	$(Q)$(MAKE) CC=clang BUILD=$(BUILD)/fuzz \
		OPT="-O1 -g -fsanitize=fuzzer-no-link,address,undefined \
		-fno-sanitize-recover=all" \
		LDFLAGS="-fsanitize=fuzzer,address,undefined" fuzz-run
.PHONY: fuzz fuzz-run

# ---- costs: tests/bench/<what>_bench.c, prints ratios, fails nothing ----
BENCHES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/bench/*_bench.c))
BENCH_SUPPORT := $(call obj,$(wildcard tests/bench/support/*.c))
$(BENCHES): %: %.c.o $(BENCH_SUPPORT) $(TEST_SUPPORT) $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)
$(BUILD)/tests/bench/kernel_bench: $(HOST_KERNEL)
$(BUILD)/tests/bench/kernel_bench: LDLIBS_ALL += -lcmocka
bench: all $(BENCHES) $(PLUGINS)
	$(Q)for b in $(BENCHES) $(wildcard tests/bench/*_bench.sh); do \
		case $$b in *.sh) CUSTOS=$(BUILD)/custos CUSTOS_BUILD=$(BUILD) \
			sh $$b;; *) CUSTOS_BUILD=$(BUILD) $$b;; esac || exit 1; done
.PHONY: bench
-include tests/decode/decode.mk
-include $(addsuffix .c.d,$(FUZZ_PROGRAMS) $(BENCHES)) $(BENCH_SUPPORT:.o=.d)
