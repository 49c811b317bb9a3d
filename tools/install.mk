# make install: the program, what guest programs are built with, docs.
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share
MANDIR ?= $(DATADIR)/man
INSTALL ?= install
D = $(DESTDIR)

GUEST_SDK := $(addprefix $(BUILD)/guest/,libcustos-guest.a crt0.o)
MAN1 := $(wildcard docs/man/*.1)
MAN3 := $(wildcard docs/man/*.3)
MAN5 := $(wildcard docs/man/*.5)

install: all
	$(INSTALL) -d $(D)$(BINDIR) $(D)$(LIBDIR)/custos \
		$(D)$(LIBDIR)/custos/plugins \
		$(D)$(LIBDIR)/pkgconfig $(D)$(INCLUDEDIR)/custos/abi \
		$(D)$(MANDIR)/man1 $(D)$(MANDIR)/man3 \
		$(D)$(MANDIR)/man5 \
		$(D)$(DATADIR)/doc/custos/objects \
		$(D)$(DATADIR)/bash-completion/completions
	$(INSTALL) -m 755 $(BUILD)/custos $(D)$(BINDIR)/custos
	$(INSTALL) -m 644 include/custos/*.h guest/lib/include/custos/*.h \
		$(D)$(INCLUDEDIR)/custos/
	$(INSTALL) -m 644 abi/*.h abi/*.def $(D)$(INCLUDEDIR)/custos/abi/
	$(INSTALL) -m 644 $(GUEST_SDK) guest/lib/guest.ld \
		$(D)$(LIBDIR)/custos/
	for pc in custos custos-guest; do \
		sed -e 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|' \
			-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
			-e 's|@VERSION@|$(VERSION)|' tools/$$pc.pc.in \
			>$(D)$(LIBDIR)/pkgconfig/$$pc.pc || exit 1; done
	$(INSTALL) -m 644 $(MAN1) $(D)$(MANDIR)/man1/
	$(if $(MAN3),$(INSTALL) -m 644 $(MAN3) $(D)$(MANDIR)/man3/)
	$(INSTALL) -m 644 $(MAN5) $(D)$(MANDIR)/man5/
	$(INSTALL) -m 644 tools/custos.bash \
		$(D)$(DATADIR)/bash-completion/completions/custos
	$(INSTALL) -m 644 $(wildcard README.md) NEWS LICENSE $(wildcard docs/*.md) \
		$(D)$(DATADIR)/doc/custos/
	$(INSTALL) -m 644 $(wildcard docs/objects/*.md) \
		$(D)$(DATADIR)/doc/custos/objects/
	$(if $(wildcard examples),cp -R examples $(D)$(DATADIR)/doc/custos/)

uninstall:
	rm -f $(D)$(BINDIR)/custos $(D)$(LIBDIR)/pkgconfig/custos.pc \
		$(D)$(LIBDIR)/pkgconfig/custos-guest.pc \
		$(addprefix $(D)$(MANDIR)/man1/,$(notdir $(MAN1))) \
		$(addprefix $(D)$(MANDIR)/man3/,$(notdir $(MAN3))) \
		$(addprefix $(D)$(MANDIR)/man5/,$(notdir $(MAN5))) \
		$(D)$(DATADIR)/bash-completion/completions/custos
	rm -rf $(D)$(LIBDIR)/custos $(D)$(INCLUDEDIR)/custos \
		$(D)$(DATADIR)/doc/custos

.PHONY: install uninstall
