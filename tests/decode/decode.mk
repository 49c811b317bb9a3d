# The decoder and the executor against the CPU (docs/TESTING.md).
DECODE_HELPERS := $(addprefix $(BUILD)/tests/decode/,forms.c.o model.c.o \
	native.c.o world.c.o)
DECODE_PROGRAMS := $(addprefix $(BUILD)/tests/decode/,diff probe)
DECODE_FORMS := tests/decode/binaries.txt

$(DECODE_PROGRAMS): %: %.c.o $(DECODE_HELPERS) $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)

# make tests/decode/binaries.txt anew: collect-forms $$(find /usr -type f)
$(BUILD)/tools/collect-forms: $(BUILD)/tools/collect-forms.c.o \
		$(BUILD)/tests/decode/forms.c.o $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)

# What fuzzing the decoder and the executor starts from.
FUZZ_DECODE := $(BUILD)/tests/fuzz/decode
$(BUILD)/tests/decode/seeds: %: %.c.o $(DECODE_HELPERS) $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(subst =fuzzer,=fuzzer-no-link,$(LDFLAGS)) \
		$^ -o $@ $(LDLIBS_ALL)
fuzz-seeds: $(BUILD)/tests/decode/seeds
	$(Q)mkdir -p $(FUZZ_DECODE)/decode_fuzz.corpus \
		$(FUZZ_DECODE)/exec_fuzz.corpus
	$(Q)$< $(DECODE_FORMS) $(FUZZ_DECODE)/decode_fuzz.corpus \
		$(FUZZ_DECODE)/exec_fuzz.corpus
fuzz-run: fuzz-seeds
.PHONY: fuzz-seeds

tests: $(DECODE_PROGRAMS)
TESTS += $(wildcard tests/decode/*_test.sh)

# As long as it takes: 200 states for each form.
check-decode-full: $(DECODE_PROGRAMS)
	$(BUILD)/tests/decode/diff -v -n 200 $(wildcard $(DECODE_FORMS))
.PHONY: check-decode-full
-include $(wildcard $(BUILD)/tests/decode/*.d)
