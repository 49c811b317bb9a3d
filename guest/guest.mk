# The guest side: kernel, runtime library, programs. Freestanding, 64-bit.
GUEST := $(BUILD)/guest
GUEST_WARN := $(WARN)
GUEST_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -nostdlib -fno-pie \
	-fno-stack-protector -fcf-protection=none -fno-strict-aliasing \
	-m64 -march=x86-64 -MMD -MP -I. -ffile-prefix-map=$(CURDIR)/=
GUEST_LDFLAGS := -nostdlib -static -Wl,--build-id=none \
	-Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-z,norelro

KERNEL_CFLAGS := $(GUEST_CFLAGS) -mcmodel=kernel -mno-red-zone \
	-mgeneral-regs-only -fno-asynchronous-unwind-tables -fno-common
KERNEL_SRC := $(wildcard guest/kernel/*.c guest/kernel/*.S)
KERNEL_OBJ := $(patsubst %,$(BUILD)/%.o,$(KERNEL_SRC))

PROGRAM_CFLAGS := $(GUEST_CFLAGS) -Iguest/lib/include
LIB_SRC_GUEST := $(filter-out guest/lib/crt0.S, \
	$(wildcard guest/lib/*.c guest/lib/*.S))
LIB_OBJ_GUEST := $(patsubst %,$(BUILD)/%.o,$(LIB_SRC_GUEST))
# A program is one file, or a folder of them.
PROGRAM_SRC := $(wildcard guest/programs/*.c guest/programs/*/*.c)
PROGRAMS := $(patsubst guest/programs/%.c,$(GUEST)/%.elf, \
	$(wildcard guest/programs/*.c)) \
	$(patsubst guest/programs/%/main.c,$(GUEST)/%.elf, \
	$(wildcard guest/programs/*/main.c))
SYSTEM_OBJ := $(patsubst %,$(BUILD)/%.o, \
	$(wildcard guest/programs/system/*.c))
USERTESTS_OBJ := $(patsubst %,$(BUILD)/%.o, \
	$(wildcard guest/programs/usertests/*.c))

$(BUILD)/guest/kernel/%.o: guest/kernel/%
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(KERNEL_CFLAGS) $(GUEST_WARN) -c $< -o $@

$(GUEST)/kernel.elf: $(KERNEL_OBJ) guest/kernel/kernel.ld
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,guest/kernel/kernel.ld \
		$(KERNEL_OBJ) -o $@

$(BUILD)/guest/lib/%.o: guest/lib/%
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(PROGRAM_CFLAGS) $(GUEST_WARN) -c $< -o $@

$(BUILD)/guest/programs/%.o: guest/programs/%
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(PROGRAM_CFLAGS) $(GUEST_WARN) -c $< -o $@

$(GUEST)/crt0.o: $(BUILD)/guest/lib/crt0.S.o
	$(Q)cp $< $@

$(GUEST)/libcustos-guest.a: $(LIB_OBJ_GUEST)
	@$(if $(filter 0,$(V)),echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

PROGRAM_DEPS := $(GUEST)/crt0.o $(GUEST)/libcustos-guest.a guest/lib/guest.ld
PROGRAM_LINK = $(CC) $(GUEST_LDFLAGS) -Wl,-T,guest/lib/guest.ld \
	$(filter %.o %.a,$^) -o $@

$(GUEST)/%.elf: $(BUILD)/guest/programs/%.c.o $(PROGRAM_DEPS)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(PROGRAM_LINK)

$(GUEST)/usertests.elf: $(USERTESTS_OBJ) $(PROGRAM_DEPS)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(PROGRAM_LINK)

# A part of custos, as the kernel is: nobody looks at its symbols.
$(GUEST)/system.elf: $(SYSTEM_OBJ) $(PROGRAM_DEPS)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(PROGRAM_LINK) -s

# Programs that attack the kernel, one file each: guest/programs/attacks.
ATTACK_MAIN := $(BUILD)/guest/programs/attacks/attack.c.o
ATTACKS := $(patsubst guest/programs/%.c,$(GUEST)/%.elf,$(filter-out \
	%/attack.c,$(wildcard guest/programs/attacks/*.c)))
$(ATTACKS): $(GUEST)/attacks/%.elf: \
	$(BUILD)/guest/programs/attacks/%.c.o $(ATTACK_MAIN) $(PROGRAM_DEPS)
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(PROGRAM_LINK)

guest: $(GUEST)/kernel.elf $(GUEST)/crt0.o $(GUEST)/libcustos-guest.a \
	$(PROGRAMS) $(ATTACKS)
.PHONY: guest
-include $(KERNEL_OBJ:.o=.d) $(LIB_OBJ_GUEST:.o=.d) \
	$(patsubst %,$(BUILD)/%.d,$(PROGRAM_SRC))

# The kernel's portable part on the host, for tests/unit/guest.
HOST_KERNEL_OBJ := $(patsubst guest/kernel/%,$(BUILD)/guest-host/%.o, \
	$(filter-out %/machine.c %/main.c,$(wildcard guest/kernel/*.c)))
HOST_KERNEL := $(BUILD)/guest-host/libkernel.a

$(BUILD)/guest-host/%.o: guest/kernel/%
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $< (host)")
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(HOST_KERNEL): $(HOST_KERNEL_OBJ)
	@$(if $(filter 0,$(V)),echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Beside what every test is linked with.
$(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/guest/*_test.c)): $(HOST_KERNEL)
-include $(HOST_KERNEL_OBJ:.o=.d)
