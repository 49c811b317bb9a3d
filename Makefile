# custos: see README.md; `make help` lists the targets.
CC ?= gcc
PREFIX ?= /usr/local
BUILD ?= build
V ?= 0
WERROR ?= 0
Q := $(if $(filter 1,$(V)),,@)
VERSION := 0.1.0

PKGS := capstone lua5.4 libelf libdw
# Zydis comes without a .pc file on some systems: look for its header then.
ZYDIS_LIBS = $(shell pkg-config --libs zydis 2>/dev/null || echo -lZydis)
WARN := -Wall -Wextra -Wstrict-prototypes -Wmissing-prototypes -Wshadow \
	-Wconversion -Wno-sign-conversion $(if $(filter 1,$(WERROR)),-Werror)
OPT ?= -O2 -g
CFLAGS_ALL = -std=c17 -D_GNU_SOURCE $(WARN) $(OPT) -pthread -MMD -MP \
	-DCUSTOS_VERSION='"$(VERSION)"' -Isrc -Iinclude -I. -I$(BUILD) \
	$(PKG_CFLAGS) $(CFLAGS)
LDLIBS_ALL = $(ZYDIS_LIBS) $(PKG_LIBS) -lm -ldl -pthread $(LDLIBS)

ifeq ($(filter help clean,$(MAKECMDGOALS)),)
PKG_MISSING := $(shell for p in $(PKGS); do \
	pkg-config --exists $$p 2>/dev/null || echo $$p; done; \
	echo '#include <Zydis/Zydis.h>' | $(CC) -E - >/dev/null 2>&1 || \
	echo zydis)
ifneq ($(PKG_MISSING),)
$(error missing: $(PKG_MISSING). Run tools/deps to install what custos needs)
endif
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS))
PKG_LIBS := $(shell pkg-config --libs $(PKGS))
endif

MODULES := base arch image decode trace target vmm process keeper session cli
SRC := $(foreach m,$(MODULES),$(wildcard src/$(m)/*.c src/$(m)/*.S))
LIB_SRC := $(filter-out src/cli/main.c,$(SRC))
obj = $(addsuffix .o,$(addprefix $(BUILD)/,$(1)))

all: $(BUILD)/custos guest

# ---- host side ----
$(BUILD)/%.c.o: %.c
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  CC    $<")
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/%.S.o: %.S
	@mkdir -p $(@D)
	@$(if $(filter 0,$(V)),echo "  AS    $<")
	$(Q)$(CC) $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/libcustos.a: $(call obj,$(LIB_SRC))
	@$(if $(filter 0,$(V)),echo "  AR    $@")
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(BUILD)/custos: $(call obj,src/cli/main.c) $(BUILD)/libcustos.a
	@$(if $(filter 0,$(V)),echo "  LD    $@")
	$(Q)$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS_ALL)

include guest/guest.mk
include tests/tests.mk

# ---- checks that read the source ----
check-layers:
	$(Q)awk -f tools/check-layers tools/layers.txt \
		$(wildcard src/*/*.c src/*/*.h)

clean:
	rm -rf $(BUILD)

-include $(patsubst %.o,%.d,$(call obj,$(SRC)))
.PHONY: all clean check-layers
.SECONDARY:
.DELETE_ON_ERROR:
