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
PROGRAM_SRC := $(wildcard guest/programs/*.c)
PROGRAMS := $(patsubst guest/programs/%.c,$(GUEST)/%.elf,$(PROGRAM_SRC))

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

$(GUEST)/%.elf: $(BUILD)/guest/programs/%.c.o $(GUEST)/crt0.o \
		$(GUEST)/libcustos-guest.a guest/lib/guest.ld
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(GUEST_LDFLAGS) -Wl,-T,guest/lib/guest.ld $(GUEST)/crt0.o $< \
		$(GUEST)/libcustos-guest.a -o $@

guest: $(GUEST)/kernel.elf $(GUEST)/crt0.o $(GUEST)/libcustos-guest.a $(PROGRAMS)
.PHONY: guest
-include $(KERNEL_OBJ:.o=.d) $(LIB_OBJ_GUEST:.o=.d) \
	$(patsubst %,$(BUILD)/%.d,$(PROGRAM_SRC))
