/* SPDX-License-Identifier: MIT */
/* The thin machine-dependent edge: descriptor tables, MSRs, string copies. */
#include "machine.h"

#include "cpu.h"

#define MSR_EFER 0xc0000080u
#define MSR_STAR 0xc0000081u
#define MSR_LSTAR 0xc0000082u
#define MSR_SFMASK 0xc0000084u
#define MSR_FS_BASE 0xc0000100u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_X2APIC_ID 0x802u
#define MSR_X2APIC_TPR 0x808u
#define MSR_X2APIC_EOI 0x80bu
#define MSR_X2APIC_SVR 0x80fu
#define MSR_X2APIC_ICR 0x830u
#define MSR_X2APIC_LVT_TIMER 0x832u
#define MSR_X2APIC_INITIAL_COUNT 0x838u
#define MSR_X2APIC_DIVIDE 0x83eu
#define X2APIC_SVR_ENABLE 0x100u
#define X2APIC_DIVIDE_BY_1 0xbu

#define GATE_INTERRUPT 0x8eu
#define GATE_DPL3 0x60u
#define IST_FATAL 1u

#define GDT_KERNEL_CODE UINT64_C(0x00af9b000000ffff)
#define GDT_KERNEL_DATA UINT64_C(0x00cf93000000ffff)
#define GDT_USER_DATA UINT64_C(0x00cff3000000ffff)
#define GDT_USER_CODE UINT64_C(0x00affb000000ffff)
#define GDT_TSS_AVAILABLE (UINT64_C(0x89) << 40)

#define PTE_PRESENT 0x1u
#define PTE_LARGE 0x80u
#define PTE_ADDRESS UINT64_C(0x000ffffffffff000)

struct idt_gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t ist;
	uint8_t type;
	uint16_t offset_middle;
	uint32_t offset_high;
	uint32_t reserved;
};

struct table_register {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct idt_gate) == 16, "hardware layout");
_Static_assert(sizeof(struct table_register) == 10, "hardware layout");

/* entry.S */
extern const uint64_t vector_stubs[32];
void vector_timer(void);
void vector_ipi(void);
void vector_spurious(void);
void syscall_entry(void);
extern const char entry_vectors[], entry_vectors_end[];
extern const char halt_at[], halt_behind[];

static struct idt_gate idt[256];

static void wrmsr(uint32_t msr, uint64_t value)
{
	__asm__ volatile(
		"wrmsr"
		:
		: "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		: "memory");
}

static uint64_t rdmsr(uint32_t msr)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return low | (uint64_t)high << 32;
}

static void gate_set(unsigned vector, uint64_t handler, unsigned ist)
{
	idt[vector] = (struct idt_gate){
		.offset_low = (uint16_t)handler,
		.selector = SELECTOR_KERNEL_CODE,
		.ist = (uint8_t)ist,
		.type = GATE_INTERRUPT,
		.offset_middle = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
	};
}

/* Every CPU writes the same bytes; the first one before the others run. */
static void idt_fill(void)
{
	unsigned i;

	for (i = 0; i < 32; i++)
		gate_set(i, vector_stubs[i], 0);
	idt[2].ist = idt[8].ist = idt[18].ist = IST_FATAL;
	idt[3].type |= GATE_DPL3; /* int3 is the program's to use */
	gate_set(VECTOR_TIMER, (uint64_t)vector_timer, 0);
	gate_set(VECTOR_IPI, (uint64_t)vector_ipi, 0);
	gate_set(VECTOR_SPURIOUS, (uint64_t)vector_spurious, 0);
}

static void gdt_fill(struct cpu *cpu)
{
	uint64_t tss = (uint64_t)&cpu->tss;

	cpu->gdt[1] = GDT_KERNEL_CODE;
	cpu->gdt[2] = GDT_KERNEL_DATA;
	cpu->gdt[3] = GDT_USER_DATA;
	cpu->gdt[4] = GDT_USER_CODE;
	cpu->gdt[5] = GDT_TSS_AVAILABLE | (sizeof(cpu->tss) - 1) |
		      (tss & 0xffffff) << 16 | (tss >> 24 & 0xff) << 56;
	cpu->gdt[6] = tss >> 32;
	cpu->tss.ist1 = (uint64_t)(cpu->fatal_stack + CPU_FATAL_STACK_SIZE);
	cpu->tss.io_map_base = sizeof(cpu->tss);
}

static void tables_load(const struct cpu *cpu)
{
	struct table_register gdtr = {sizeof(cpu->gdt) - 1, (uint64_t)cpu->gdt};
	struct table_register idtr = {sizeof(idt) - 1, (uint64_t)idt};

	__asm__ volatile("lgdt %0" : : "m"(gdtr) : "memory");
	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
	__asm__ volatile("ltr %w0" : : "r"(SELECTOR_TSS) : "memory");
}

void machine_cpu_init(struct cpu *cpu)
{
	if (cpu->index == 0)
		idt_fill();
	gdt_fill(cpu);
	tables_load(cpu);
	wrmsr(MSR_STAR, (uint64_t)SELECTOR_KERNEL_CODE << 32 |
				(uint64_t)SELECTOR_KERNEL_DATA << 48);
	wrmsr(MSR_LSTAR, (uint64_t)syscall_entry);
	wrmsr(MSR_SFMASK, 0x47700); /* TF IF DF IOPL NT AC */
	wrmsr(MSR_KERNEL_GS_BASE, (uint64_t)cpu);
	wrmsr(MSR_FS_BASE, 0);
	cpu->apic_id = (uint32_t)rdmsr(MSR_X2APIC_ID);
	wrmsr(MSR_X2APIC_SVR, X2APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	wrmsr(MSR_X2APIC_TPR, 0);
	wrmsr(MSR_X2APIC_DIVIDE, X2APIC_DIVIDE_BY_1);
	wrmsr(MSR_X2APIC_LVT_TIMER, VECTOR_TIMER); /* one shot */
}

bool machine_is_vector_entry(uint64_t rip)
{
	return rip >= (uint64_t)entry_vectors &&
	       rip < (uint64_t)entry_vectors_end;
}

uint64_t machine_syscall_entry(void)
{
	return (uint64_t)syscall_entry;
}

int64_t machine_hypercall(enum custos_call call, uint64_t a, uint64_t b,
	uint64_t c, uint64_t d, uint64_t e)
{
	register uint64_t r8 __asm__("r8") = c;
	register uint64_t r9 __asm__("r9") = d;
	register uint64_t r10 __asm__("r10") = e;
	uint64_t result = call;

	__asm__ volatile(
		"outl %%eax, %%dx"
		: "+a"(result)
		: "d"(CUSTOS_PORT), "D"(a), "S"(b), "r"(r8), "r"(r9), "r"(r10)
		: "memory");
	return (int64_t)result;
}

/* In the kernel's own image. */
uint64_t machine_image_gpa(const void *pointer)
{
	uint64_t va = (uint64_t)pointer, table = machine_cr3(), entry;
	unsigned shift;

	for (shift = 39;; shift -= 9) {
		const uint64_t *entries = machine_direct(table & PTE_ADDRESS);

		entry = entries[va >> shift & 511];
		if (shift == 12 || (shift < 39 && (entry & PTE_LARGE)))
			break;
		table = entry;
	}
	return (entry & PTE_ADDRESS & ~((UINT64_C(1) << shift) - 1)) |
	       (va & ((UINT64_C(1) << shift) - 1));
}

void machine_set_cr3(uint64_t cr3)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

uint64_t machine_cr3(void)
{
	uint64_t cr3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	return cr3;
}

uint64_t machine_cr2(void)
{
	uint64_t cr2;

	__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
	return cr2;
}

void machine_flush_page(uint64_t va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

void machine_set_fs_base(uint64_t address)
{
	wrmsr(MSR_FS_BASE, address);
}

/* The operand must be (%rdi): a host that cannot emulate these instructions
 * has the monitor complete them, which knows this form only. */
void machine_xsave(void *area, uint64_t xcr0)
{
	__asm__ volatile(
		"xsave64 (%%rdi)"
		:
		: "D"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
		: "memory");
}

void machine_xrstor(const void *area, uint64_t xcr0)
{
	__asm__ volatile(
		"xrstor64 (%%rdi)"
		:
		: "D"(area), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32))
		: "memory");
}

void machine_zero(void *to, size_t size)
{
	size_t count = size / 8;

	__asm__ volatile("rep stosq"
			 : "+D"(to), "+c"(count)
			 : "a"(0)
			 : "memory");
}

void machine_copy(void *to, const void *from, size_t size)
{
	size_t count = size / 8;

	__asm__ volatile("rep movsq"
			 : "+D"(to), "+S"(from), "+c"(count)
			 :
			 : "memory");
	count = size % 8;
	if (count)
		__asm__ volatile("rep movsb"
				 : "+D"(to), "+S"(from), "+c"(count)
				 :
				 : "memory");
}

unsigned machine_table_next(const uint64_t *table, unsigned from)
{
	const uint64_t *at = table + from;
	size_t left = 512 - from;
	bool found;

	if (left == 0)
		return 512;
	__asm__ volatile("repe scasq"
			 : "+D"(at), "+c"(left), "=@ccne"(found)
			 : "a"(0)
			 : "memory");
	return found ? (unsigned)(at - 1 - table) : 512;
}

uint64_t machine_tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return low | (uint64_t)high << 32;
}

/* KVM's APIC timer counts nanoseconds, whatever the guest's TSC does. */
void machine_timer_arm(uint64_t ns)
{
	wrmsr(MSR_X2APIC_INITIAL_COUNT, ns);
}

void machine_eoi(void)
{
	wrmsr(MSR_X2APIC_EOI, 0);
}

void machine_ipi(uint32_t apic_id)
{
	wrmsr(MSR_X2APIC_ICR, (uint64_t)apic_id << 32 | VECTOR_IPI);
}

void machine_pause(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/*
 * An interrupt that wakes us must not come between sti and hlt, or nothing
 * would. The one instruction's grace behind sti does not survive every exit of
 * a nested machine: trap.c helps an interrupt at the hlt over it.
 */
__attribute__((noinline)) void machine_halt(void)
{
	__asm__ volatile("sti\n"
			 ".globl halt_at, halt_behind\n"
			 "halt_at: hlt\n"
			 "halt_behind: cli"
			 :
			 :
			 : "memory");
}

uint64_t machine_leave_halt(uint64_t rip)
{
	return rip == (uint64_t)halt_at ? (uint64_t)halt_behind : rip;
}

/* The compiler may call these for copies of structures. */
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);

void *memcpy(void *to, const void *from, size_t size)
{
	machine_copy(to, from, size);
	return to;
}

void *memset(void *to, int byte, size_t size)
{
	void *at = to;

	__asm__ volatile("rep stosb"
			 : "+D"(at), "+c"(size)
			 : "a"(byte)
			 : "memory");
	return to;
}
