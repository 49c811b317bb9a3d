# The guest programs of the examples: examples/NAME/WHAT.c becomes
# $(BUILD)/examples/NAME/WHAT.elf. Rules and flags are guest.mk's.
EXAMPLE_SRC := $(wildcard examples/*/*.c)
EXAMPLES := $(patsubst %.c,$(BUILD)/%.elf,$(EXAMPLE_SRC))

$(BUILD)/examples/%.c.o: examples/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(PROGRAM_CFLAGS) $(GUEST_WARN) -c $< -o $@

$(BUILD)/examples/%.elf: $(BUILD)/examples/%.c.o $(PROGRAM_DEPS)
	$(call say,LD,$@)
	$(Q)$(PROGRAM_LINK)

examples: $(EXAMPLES)
all: examples

# Keepers in C; examples/plugin/README.md shows how users build them.
PLUGINS := $(patsubst %.c,$(BUILD)/%.so,$(wildcard examples/*/keeper/*.c \
	tests/plugins/*.c))
PLUGIN_DEPS := include/custos/keeper.h include/custos/arch.h
$(PLUGINS): $(BUILD)/%.so: %.c $(PLUGIN_DEPS) $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) -std=c17 -O2 -g -Wall -Wextra -shared -fPIC -Iinclude -I. $< -o $@
examples: $(PLUGINS)

# The main job on the main example, wherever there is a KVM to do it with.
demo: all
	$(Q)CUSTOS_BUILD=$(BUILD) sh examples/demo.sh
.PHONY: examples demo
-include $(EXAMPLE_SRC:%.c=$(BUILD)/%.c.d)
