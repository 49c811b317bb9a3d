# The guest programs of the examples: examples/NAME/WHAT.c becomes
# $(BUILD)/examples/NAME/WHAT.elf. Rules and flags are guest.mk's.
EXAMPLE_SRC := $(wildcard examples/*/*.c)
EXAMPLES := $(patsubst %.c,$(BUILD)/%.elf,$(EXAMPLE_SRC))

$(BUILD)/examples/%.c.o: examples/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(PROGRAM_CFLAGS) $(GUEST_WARN) -c $< -o $@

$(BUILD)/examples/%.elf: $(BUILD)/examples/%.c.o $(GUEST)/crt0.o \
		$(GUEST)/libcustos-guest.a guest/lib/guest.ld
	$(call say,LD,$@)
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,guest/lib/guest.ld $(GUEST)/crt0.o \
		$< $(GUEST)/libcustos-guest.a -o $@

examples: $(EXAMPLES)
all: examples

# The main job on the main example, wherever there is a KVM to do it with.
demo: all
	$(Q)CUSTOS_BUILD=$(BUILD) sh examples/demo.sh
.PHONY: examples demo
-include $(EXAMPLE_SRC:%.c=$(BUILD)/%.c.d)
