# custos: see README.md; `make help` lists the targets.
ifeq ($(origin CC),default)
CC := gcc
endif
BUILD ?= build
V ?= 0
WERROR ?= 0
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' $(1) $(2),@:)
VERSION := 0.1.0

PKGS := capstone libelf libdw libxxhash libzstd jansson sqlite3
# Lua and Zydis are not called the same everywhere; Zydis may lack a .pc file.
LUA := $(firstword $(foreach p,lua5.4 lua-5.4 lua54 lua,$(shell \
	pkg-config --atleast-version=5.4 $(p) 2>/dev/null && echo $(p))))
ZYDIS_LIBS := $(shell pkg-config --libs zydis 2>/dev/null || echo -lZydis)
WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wconversion -Wno-sign-conversion \
	-Wno-gnu-variable-sized-type-not-at-end $(if $(filter 1,$(WERROR)),-Werror)
OPT ?= -O2 -g
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE $(WARN) $(OPT) -pthread -MMD -MP \
	-DCUSTOS_VERSION='"$(VERSION)"' -Isrc -Iinclude -I. -I$(BUILD) \
	$(PKG_CFLAGS) $(CFLAGS)
LDLIBS_ALL = $(ZYDIS_LIBS) $(PKG_LIBS) -lm -ldl -pthread $(LDLIBS)

ifneq ($(filter-out help clean deps,$(or $(MAKECMDGOALS),all)),)
PKG_MISSING := $(strip $(shell for p in $(PKGS); do \
	pkg-config --exists $$p 2>/dev/null || echo $$p; done; \
	printf '\043include <Zydis/Zydis.h>\n' | $(CC) -E - >/dev/null 2>&1 || \
	echo zydis) $(if $(LUA),,lua5.4))
ifneq ($(PKG_MISSING),)
$(error missing: $(PKG_MISSING). Run tools/deps to install what custos needs)
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) $(LUA))
PKG_LIBS := $(shell pkg-config --libs $(PKGS) $(LUA))
endif

MODULES := base arch image system decode trace target vmm process keeper session cli
SRC := $(foreach m,$(MODULES),$(wildcard src/$(m)/*.c src/$(m)/*.S))
LIB_SRC := $(filter-out src/cli/main.c,$(SRC))
obj = $(addsuffix .o,$(addprefix $(BUILD)/,$(1)))

all: $(BUILD)/custos guest

# ---- host side ----
# Objects are made anew when the compiler or its flags change.
FLAGS_NOW = $(CC) $(filter-out -Werror,$(CFLAGS_ALL)) $(LDFLAGS)
$(BUILD)/flags: force
	@mkdir -p $(@D)
	@echo '$(subst ','\'',$(FLAGS_NOW))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(FLAGS_NOW))' >$@

$(BUILD)/%.c.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/%.S.o: %.S $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

# The guest kernel's file is a part of custos.
KERNEL_ELF := $(if $(wildcard guest/kernel/*.c),$(BUILD)/guest/kernel.elf)
$(BUILD)/src/vmm/kernel_elf.S.o: CFLAGS_ALL += $(KERNEL_ELF:%=-DKERNEL_ELF='"%"')
$(BUILD)/src/vmm/kernel_elf.S.o: $(KERNEL_ELF)

# So is the program that builds described systems.
SYSTEM_ELF := $(BUILD)/guest/system.elf
$(BUILD)/src/system/program_elf.S.o: CFLAGS_ALL += -DSYSTEM_ELF='"$(SYSTEM_ELF)"'
$(BUILD)/src/system/program_elf.S.o: $(SYSTEM_ELF)

$(BUILD)/libcustos.a: $(call obj,$(LIB_SRC))
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/custos: $(call obj,src/cli/main.c) $(BUILD)/libcustos.a
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)

include guest/guest.mk
include examples/examples.mk
include tests/tests.mk
include tools/install.mk

# ---- checks that read the source ----
check-layers:
	$(Q)awk -f tools/check-layers tools/layers.txt \
		$(wildcard src/*/*.c src/*/*.h)

# The tables in docs/objects, after a change of abi/captype.def.
object-tables:
	CC="$(CC)" tools/object-tables

deps:
	tools/deps --test

clean:
	rm -rf $(BUILD)

help:
	@cat tools/help.txt

-include $(patsubst %.o,%.d,$(call obj,$(SRC)))
.PHONY: all clean check-layers object-tables deps help force
.SECONDARY:
.DELETE_ON_ERROR:
