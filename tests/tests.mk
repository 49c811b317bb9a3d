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
	$(EXAMPLE_TESTS)
SUPPORT_SRC := $(wildcard tests/support/*.c)
JOBS ?= 2
RUN_TESTS = CC="$(CC)" tests/support/run -j $(JOBS) -b $(BUILD)


$(UNIT_TESTS) $(VM_TESTS): %: %.c.o $(call obj,$(SUPPORT_SRC)) \
		$(BUILD)/libcustos.a
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(LDLIBS_ALL)

tests: all $(UNIT_TESTS) $(VM_TESTS)

check: tests
	$(Q)$(RUN_TESTS) $(TESTS)
check-unit: $(UNIT_TESTS)
	$(Q)$(RUN_TESTS) $(UNIT_TESTS)
check-vm: all $(VM_TESTS)
	$(Q)$(RUN_TESTS) $(VM_TESTS)
check-cli: all
	$(Q)$(RUN_TESTS) $(CLI_TESTS) $(EXAMPLE_TESTS)
.PHONY: tests check check-unit check-vm check-cli
-include $(addsuffix .c.d,$(UNIT_TESTS) $(VM_TESTS)) \
	$(patsubst %.c,$(BUILD)/%.c.d,$(SUPPORT_SRC))

# ---- the same tests on stock kvm-amd, in a machine that QEMU emulates ----
SVM_TESTS ?= tests/svm/machine_test.sh tests/project/runner_test.sh \
	$(VM_TESTS) $(CLI_TESTS) $(EXAMPLE_TESTS)
check-svm: all $(VM_TESTS)
	$(Q)tests/svm/run -b $(BUILD) tests $(SVM_TESTS) || \
		{ code=$$?; [ $$code = 77 ] || exit $$code; }
.PHONY: check-svm
