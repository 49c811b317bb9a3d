# Tests. tests/unit/<module>/<file>_test.c is a CMocka program of its own,
# linked with the library.
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/*/*_test.c))

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.c.o $(BUILD)/libcustos.a
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ -lcmocka $(LDLIBS_ALL)

check-unit: $(UNIT_TESTS)
	$(Q)for t in $(UNIT_TESTS); do $$t || exit 1; done

check: check-layers check-unit
.PHONY: check check-unit
-include $(UNIT_TESTS:=.c.d)
