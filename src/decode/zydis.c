/* SPDX-License-Identifier: MIT */
/*
 * The only file that knows Zydis. It turns Zydis' view of an instruction into
 * struct insn, corrects what measurements against CPUs have shown to be wrong
 * (marked "correction"), and decides what may be executed in the monitor: what
 * is not on a list here never is.
 */
#include "decode/decode_impl.h"

#include <cpuid.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <Zydis/Zydis.h>

#define HYGON_EBX 0x6f677948u /* "Hygo", as in HygonGenuine */

struct view {
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
};

static ZydisDecoder decoder;
static bool is_amd;
static pthread_once_t decoder_once = PTHREAD_ONCE_INIT;

/* AMD obeys 66h on near branches, Intel ignores it. */
static void init_decoder(void)
{
	unsigned eax, ebx, ecx, edx;

	ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64,
		ZYDIS_STACK_WIDTH_64);
	if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) &&
		(ebx == signature_AMD_ebx || ebx == HYGON_EBX))
		is_amd = true;
	ZydisDecoderEnableMode(
		&decoder, ZYDIS_DECODER_MODE_AMD_BRANCHES, is_amd);
}

static ZyanStatus decode(const uint8_t *bytes, size_t len, struct view *out)
{
	pthread_once(&decoder_once, init_decoder);
	return ZydisDecoderDecodeFull(
		&decoder, bytes, len, &out->insn, out->operands);
}

/* ---- what may be executed ---- */

/*
 * Instruction set extensions whose instructions only compute on general,
 * vector, mask and x87 registers and one memory operand. FORM_PLAIN runs
 * anything in them that has exactly such operands; see is_plain().
 */
static const bool executable_sets[ZYDIS_ISA_SET_MAX_VALUE + 1] = {
	[ZYDIS_ISA_SET_ADOX_ADCX] = true,
	[ZYDIS_ISA_SET_AES] = true,
	[ZYDIS_ISA_SET_AMD3DNOW] = true,
	[ZYDIS_ISA_SET_AVX] = true,
	[ZYDIS_ISA_SET_AVX2] = true,
	[ZYDIS_ISA_SET_AVX512BW_128] = true,
	[ZYDIS_ISA_SET_AVX512BW_128N] = true,
	[ZYDIS_ISA_SET_AVX512BW_256] = true,
	[ZYDIS_ISA_SET_AVX512BW_512] = true,
	[ZYDIS_ISA_SET_AVX512BW_KOP] = true,
	[ZYDIS_ISA_SET_AVX512CD_128] = true,
	[ZYDIS_ISA_SET_AVX512CD_256] = true,
	[ZYDIS_ISA_SET_AVX512CD_512] = true,
	[ZYDIS_ISA_SET_AVX512DQ_128] = true,
	[ZYDIS_ISA_SET_AVX512DQ_128N] = true,
	[ZYDIS_ISA_SET_AVX512DQ_256] = true,
	[ZYDIS_ISA_SET_AVX512DQ_512] = true,
	[ZYDIS_ISA_SET_AVX512DQ_KOP] = true,
	[ZYDIS_ISA_SET_AVX512DQ_SCALAR] = true,
	[ZYDIS_ISA_SET_AVX512ER_512] = true,
	[ZYDIS_ISA_SET_AVX512ER_SCALAR] = true,
	[ZYDIS_ISA_SET_AVX512F_128] = true,
	[ZYDIS_ISA_SET_AVX512F_128N] = true,
	[ZYDIS_ISA_SET_AVX512F_256] = true,
	[ZYDIS_ISA_SET_AVX512F_512] = true,
	[ZYDIS_ISA_SET_AVX512F_KOP] = true,
	[ZYDIS_ISA_SET_AVX512F_SCALAR] = true,
	[ZYDIS_ISA_SET_AVX512_BF16_128] = true,
	[ZYDIS_ISA_SET_AVX512_BF16_256] = true,
	[ZYDIS_ISA_SET_AVX512_BF16_512] = true,
	[ZYDIS_ISA_SET_AVX512_BITALG_128] = true,
	[ZYDIS_ISA_SET_AVX512_BITALG_256] = true,
	[ZYDIS_ISA_SET_AVX512_BITALG_512] = true,
	[ZYDIS_ISA_SET_AVX512_FP16_128] = true,
	[ZYDIS_ISA_SET_AVX512_FP16_128N] = true,
	[ZYDIS_ISA_SET_AVX512_FP16_256] = true,
	[ZYDIS_ISA_SET_AVX512_FP16_512] = true,
	[ZYDIS_ISA_SET_AVX512_FP16_SCALAR] = true,
	[ZYDIS_ISA_SET_AVX512_GFNI_128] = true,
	[ZYDIS_ISA_SET_AVX512_GFNI_256] = true,
	[ZYDIS_ISA_SET_AVX512_GFNI_512] = true,
	[ZYDIS_ISA_SET_AVX512_IFMA_128] = true,
	[ZYDIS_ISA_SET_AVX512_IFMA_256] = true,
	[ZYDIS_ISA_SET_AVX512_IFMA_512] = true,
	[ZYDIS_ISA_SET_AVX512_VAES_128] = true,
	[ZYDIS_ISA_SET_AVX512_VAES_256] = true,
	[ZYDIS_ISA_SET_AVX512_VAES_512] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI2_128] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI2_256] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI2_512] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI_128] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI_256] = true,
	[ZYDIS_ISA_SET_AVX512_VBMI_512] = true,
	[ZYDIS_ISA_SET_AVX512_VNNI_128] = true,
	[ZYDIS_ISA_SET_AVX512_VNNI_256] = true,
	[ZYDIS_ISA_SET_AVX512_VNNI_512] = true,
	[ZYDIS_ISA_SET_AVX512_VP2INTERSECT_128] = true,
	[ZYDIS_ISA_SET_AVX512_VP2INTERSECT_256] = true,
	[ZYDIS_ISA_SET_AVX512_VP2INTERSECT_512] = true,
	[ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_128] = true,
	[ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_256] = true,
	[ZYDIS_ISA_SET_AVX512_VPCLMULQDQ_512] = true,
	[ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_128] = true,
	[ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_256] = true,
	[ZYDIS_ISA_SET_AVX512_VPOPCNTDQ_512] = true,
	[ZYDIS_ISA_SET_AVXAES] = true,
	[ZYDIS_ISA_SET_AVX_GFNI] = true,
	[ZYDIS_ISA_SET_AVX_VNNI] = true,
	[ZYDIS_ISA_SET_BMI1] = true,
	[ZYDIS_ISA_SET_BMI2] = true,
	[ZYDIS_ISA_SET_F16C] = true,
	[ZYDIS_ISA_SET_FCMOV] = true,
	[ZYDIS_ISA_SET_FMA] = true,
	[ZYDIS_ISA_SET_FMA4] = true,
	[ZYDIS_ISA_SET_GFNI] = true,
	[ZYDIS_ISA_SET_LZCNT] = true,
	[ZYDIS_ISA_SET_MOVBE] = true,
	[ZYDIS_ISA_SET_PCLMULQDQ] = true,
	[ZYDIS_ISA_SET_PENTIUMMMX] = true,
	[ZYDIS_ISA_SET_POPCNT] = true,
	[ZYDIS_ISA_SET_SHA] = true,
	[ZYDIS_ISA_SET_SSE] = true,
	[ZYDIS_ISA_SET_SSE2] = true,
	[ZYDIS_ISA_SET_SSE2MMX] = true,
	[ZYDIS_ISA_SET_SSE3] = true,
	[ZYDIS_ISA_SET_SSE3X87] = true,
	[ZYDIS_ISA_SET_SSE4] = true,
	[ZYDIS_ISA_SET_SSE42] = true,
	[ZYDIS_ISA_SET_SSE4A] = true,
	[ZYDIS_ISA_SET_SSEMXCSR] = true,
	[ZYDIS_ISA_SET_SSSE3] = true,
	[ZYDIS_ISA_SET_SSSE3MMX] = true,
	[ZYDIS_ISA_SET_TBM] = true,
	[ZYDIS_ISA_SET_VAES] = true,
	[ZYDIS_ISA_SET_VPCLMULQDQ] = true,
	[ZYDIS_ISA_SET_X87] = true,
	[ZYDIS_ISA_SET_XOP] = true,
};

/* In the sets that have been there from the start: by category. */
static bool is_base_computation(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_SEMAPHORE:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_MOVDIR:
		break;
	default:
		return false;
	}
	switch (insn->meta.isa_set) {
	case ZYDIS_ISA_SET_I86:
	case ZYDIS_ISA_SET_I186:
	case ZYDIS_ISA_SET_I386:
	case ZYDIS_ISA_SET_I486REAL:
	case ZYDIS_ISA_SET_PENTIUMREAL:
	case ZYDIS_ISA_SET_PPRO:
	case ZYDIS_ISA_SET_CMOV:
	case ZYDIS_ISA_SET_LONGMODE:
	case ZYDIS_ISA_SET_CMPXCHG16B:
		return true;
	case ZYDIS_ISA_SET_MOVDIR:
		return insn->mnemonic == ZYDIS_MNEMONIC_MOVDIRI;
	default:
		return false;
	}
}

static bool is_gpr(ZydisRegister reg)
{
	ZydisRegisterClass class = ZydisRegisterGetClass(reg);

	return class >= ZYDIS_REGCLASS_GPR8 && class <= ZYDIS_REGCLASS_GPR64;
}

/* Registers an executed instruction may name. No segment, no control
 * register, no instruction pointer. */
static bool is_data_register(ZydisRegister reg)
{
	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
	case ZYDIS_REGCLASS_GPR16:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_X87:
	case ZYDIS_REGCLASS_MMX:
	case ZYDIS_REGCLASS_XMM:
	case ZYDIS_REGCLASS_YMM:
	case ZYDIS_REGCLASS_ZMM:
	case ZYDIS_REGCLASS_FLAGS:
	case ZYDIS_REGCLASS_MASK:
		return true;
	default:
		return reg == ZYDIS_REGISTER_MXCSR ||
			reg == ZYDIS_REGISTER_X87CONTROL ||
			reg == ZYDIS_REGISTER_X87STATUS ||
			reg == ZYDIS_REGISTER_X87TAG;
	}
}

static bool has_only_data_registers(const struct view *view)
{
	for (unsigned i = 0; i < view->insn.operand_count; i++)
		if (view->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			!is_data_register(view->operands[i].reg.value))
			return false;
	return true;
}

static bool is_access(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		(operand->mem.type == ZYDIS_MEMOP_TYPE_MEM ||
			operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB);
}

static const ZydisDecodedOperand *modrm_access(const struct view *view)
{
	for (unsigned i = 0; i < view->insn.operand_count_visible; i++)
		if (is_access(&view->operands[i]) &&
			view->operands[i].encoding ==
				ZYDIS_OPERAND_ENCODING_MODRM_RM)
			return &view->operands[i];
	return NULL;
}

static unsigned count_accesses(const struct view *view)
{
	unsigned count = 0;

	for (unsigned i = 0; i < view->insn.operand_count; i++)
		count += is_access(&view->operands[i]);
	return count;
}

static bool is_plain(const struct view *view)
{
	const ZydisDecodedInstruction *insn = &view->insn;

	return (executable_sets[insn->meta.isa_set] ||
		       is_base_computation(insn)) &&
		count_accesses(view) == 1 && modrm_access(view) &&
		modrm_access(view)->mem.type == ZYDIS_MEMOP_TYPE_MEM &&
		has_only_data_registers(view);
}

/* ---- which form ---- */

static bool first_is(const struct view *view, ZydisOperandType type)
{
	return view->insn.operand_count_visible &&
		view->operands[0].type == type;
}

static enum decode_form by_first_operand(const struct view *view,
	enum decode_form reg, enum decode_form mem, enum decode_form imm)
{
	if (first_is(view, ZYDIS_OPERAND_TYPE_MEMORY))
		return mem;
	if (first_is(view, ZYDIS_OPERAND_TYPE_IMMEDIATE))
		return imm;
	if (first_is(view, ZYDIS_OPERAND_TYPE_REGISTER) &&
		is_gpr(view->operands[0].reg.value))
		return reg;
	return FORM_NONE;
}

/* By opcode: names are many. */
static enum decode_form condition_form(const ZydisDecodedInstruction *insn)
{
	if (insn->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
		insn->operand_width == 16)
		return FORM_NONE;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
		(insn->opcode & 0xf0) == 0x70)
		return FORM_JCC;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_0F &&
		(insn->opcode & 0xf0) == 0x80)
		return FORM_JCC;
	if (insn->opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
		(insn->opcode & 0xfc) == 0xe0)
		return FORM_LOOP;
	return FORM_NONE;
}

static enum decode_form branch_form(const struct view *view)
{
	if (view->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		return FORM_NONE;
	if (view->insn.meta.category == ZYDIS_CATEGORY_COND_BR)
		return condition_form(&view->insn);
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_CALL:
		return by_first_operand(
			view, FORM_CALL_REG, FORM_CALL_MEM, FORM_CALL_REL);
	case ZYDIS_MNEMONIC_JMP:
		return by_first_operand(
			view, FORM_JMP_REG, FORM_JMP_MEM, FORM_JMP_REL);
	case ZYDIS_MNEMONIC_RET:
		return FORM_RET;
	default:
		return FORM_NONE;
	}
}

static enum decode_form stack_form(const struct view *view)
{
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_PUSH:
		return by_first_operand(
			view, FORM_PUSH_REG, FORM_PUSH_MEM, FORM_PUSH_IMM);
	case ZYDIS_MNEMONIC_POP:
		return by_first_operand(
			view, FORM_POP_REG, FORM_POP_MEM, FORM_NONE);
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFQ:
		return FORM_PUSH_FLAGS;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFQ:
		return FORM_POP_FLAGS;
	case ZYDIS_MNEMONIC_LEAVE:
		return FORM_LEAVE;
	case ZYDIS_MNEMONIC_ENTER:
		return FORM_ENTER;
	default:
		return branch_form(view);
	}
}

static enum decode_form string_form(const struct view *view)
{
	if (view->insn.meta.category != ZYDIS_CATEGORY_STRINGOP)
		return FORM_NONE;
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB:
	case ZYDIS_MNEMONIC_MOVSW:
	case ZYDIS_MNEMONIC_MOVSD:
	case ZYDIS_MNEMONIC_MOVSQ:
		return FORM_MOVS;
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
	case ZYDIS_MNEMONIC_CMPSQ:
		return FORM_CMPS;
	case ZYDIS_MNEMONIC_STOSB:
	case ZYDIS_MNEMONIC_STOSW:
	case ZYDIS_MNEMONIC_STOSD:
	case ZYDIS_MNEMONIC_STOSQ:
		return FORM_STOS;
	case ZYDIS_MNEMONIC_LODSB:
	case ZYDIS_MNEMONIC_LODSW:
	case ZYDIS_MNEMONIC_LODSD:
	case ZYDIS_MNEMONIC_LODSQ:
		return FORM_LODS;
	case ZYDIS_MNEMONIC_SCASB:
	case ZYDIS_MNEMONIC_SCASW:
	case ZYDIS_MNEMONIC_SCASD:
	case ZYDIS_MNEMONIC_SCASQ:
		return FORM_SCAS;
	default:
		return FORM_NONE;
	}
}

static bool is_moffs(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
		operand->encoding == ZYDIS_OPERAND_ENCODING_DISP16_32_64;
}

static enum decode_form mov_form(const struct view *view)
{
	if (is_moffs(&view->operands[0]))
		return FORM_MOFFS_STORE;
	if (is_moffs(&view->operands[1]))
		return FORM_MOFFS_LOAD;
	return is_plain(view) ? FORM_PLAIN : FORM_NONE;
}

static enum decode_form vsib_form(const struct view *view)
{
	/* The prefetching gathers of AVX512PF move no data. */
	if (view->insn.meta.isa_set == ZYDIS_ISA_SET_AVX512PF_512)
		return FORM_NONE;
	if (view->insn.meta.category == ZYDIS_CATEGORY_SCATTER)
		return FORM_SCATTER;
	return FORM_GATHER;
}

static bool is_vsib(const struct view *view)
{
	const ZydisDecodedOperand *m = modrm_access(view);

	return m && m->mem.type == ZYDIS_MEMOP_TYPE_VSIB;
}

static enum decode_form bit_form(const struct view *view)
{
	if (!is_plain(view))
		return FORM_NONE;
	return view->operands[1].type == ZYDIS_OPERAND_TYPE_REGISTER ?
		FORM_BIT :
		FORM_PLAIN;
}

static enum decode_form form_of(const struct view *view)
{
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		return bit_form(view);
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		return FORM_MASKMOV;
	case ZYDIS_MNEMONIC_MOV:
		return mov_form(view);
	case ZYDIS_MNEMONIC_XCHG:
		return is_plain(view) ? FORM_XCHG : FORM_NONE;
	case ZYDIS_MNEMONIC_XLAT:
		return FORM_XLAT;
	case ZYDIS_MNEMONIC_MOVDIR64B:
		return FORM_MOVDIR64B;
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_CLFLUSHOPT:
	case ZYDIS_MNEMONIC_CLWB:
		return FORM_FLUSH;
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
	case ZYDIS_MNEMONIC_XSAVEC:
	case ZYDIS_MNEMONIC_XSAVEC64:
		return FORM_XSAVE;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return FORM_XRSTOR;
	default:
		break;
	}
	if (is_vsib(view))
		return vsib_form(view);
	if (string_form(view) != FORM_NONE)
		return string_form(view);
	if (stack_form(view) != FORM_NONE)
		return stack_form(view);
	return is_plain(view) ? FORM_PLAIN : FORM_NONE;
}

/* ---- without data memory ---- */

/* More of the sets that have been there from the start. */
static bool is_register_computation(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_FLAGOP:
		break;
	default:
		return is_base_computation(insn);
	}
	switch (insn->meta.isa_set) {
	case ZYDIS_ISA_SET_I86:
	case ZYDIS_ISA_SET_I386:
	case ZYDIS_ISA_SET_LONGMODE:
	case ZYDIS_ISA_SET_LAHF:
		return true;
	default:
		return false;
	}
}

/* Does it name rsp where its encoding does not? */
static bool has_hidden_rsp(const struct view *view)
{
	for (unsigned i = 0; i < view->insn.operand_count; i++) {
		const ZydisDecodedOperand *o = &view->operands[i];

		if (o->type == ZYDIS_OPERAND_TYPE_REGISTER &&
			o->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
			ZydisRegisterGetLargestEnclosing(
				ZYDIS_MACHINE_MODE_LONG_64, o->reg.value) ==
				ZYDIS_REGISTER_RSP)
			return true;
	}
	return false;
}

static bool has_memory_operand(const struct view *view)
{
	for (unsigned i = 0; i < view->insn.operand_count; i++)
		if (view->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return true;
	return false;
}

static enum decode_form register_form(const struct view *view)
{
	const ZydisDecodedInstruction *insn = &view->insn;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_LEA:
		return FORM_LEA;
	case ZYDIS_MNEMONIC_CLD:
	case ZYDIS_MNEMONIC_STD:
		return FORM_DIRECTION;
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
		return FORM_UNDEFINED;
	default:
		break;
	}
	if ((executable_sets[insn->meta.isa_set] ||
		    insn->meta.category == ZYDIS_CATEGORY_X87_ALU ||
		    is_register_computation(insn)) &&
		!has_memory_operand(view) && has_only_data_registers(view) &&
		!has_hidden_rsp(view))
		return FORM_REGISTER;
	return FORM_NONE;
}

/*
 * Correction: decoded with a memory operand, but nothing is read or written
 * and nothing can fault there.
 */
static bool is_hint(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_PREFETCH:
	case ZYDIS_CATEGORY_PREFETCHWT1:
	case ZYDIS_CATEGORY_CLDEMOTE:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_NOP:
		return true;
	default:
		break;
	}
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_PAUSE:
	case ZYDIS_MNEMONIC_ENDBR32:
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
		return true;
	default:
		return false;
	}
}

/* ---- operands ---- */

static enum access_kind operand_kind(
	const struct view *view, const ZydisDecodedOperand *operand)
{
	bool reads = operand->actions & ZYDIS_OPERAND_ACTION_MASK_READ;
	bool writes = operand->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;

	/* A masked store leaves the other elements alone, it does not read
	 * them. No vector instruction reads and writes memory. */
	if (view->insn.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY && writes)
		return ACCESS_STORE;
	return reads && writes ? ACCESS_RMW :
		writes	       ? ACCESS_STORE :
				 ACCESS_LOAD;
}

static int8_t register_number(ZydisRegister reg)
{
	if (reg == ZYDIS_REGISTER_NONE)
		return INSN_REG_NONE;
	if (ZydisRegisterGetClass(reg) == ZYDIS_REGCLASS_IP)
		return INSN_REG_RIP;
	return (int8_t)ZydisRegisterGetId(reg);
}

static uint8_t segment_number(ZydisRegister segment)
{
	return segment == ZYDIS_REGISTER_FS ? INSN_SEGMENT_FS :
		segment == ZYDIS_REGISTER_GS ? INSN_SEGMENT_GS :
					       INSN_SEGMENT_NONE;
}

/* Legacy SSE instructions that take a 16-byte operand at any address
 * (SDM vol. 2, table 2-21 and the instructions' own pages). */
static bool is_unaligned_sse(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVUPS:
	case ZYDIS_MNEMONIC_MOVUPD:
	case ZYDIS_MNEMONIC_MOVDQU:
	case ZYDIS_MNEMONIC_LDDQU:
	case ZYDIS_MNEMONIC_PCMPESTRI:
	case ZYDIS_MNEMONIC_PCMPESTRM:
	case ZYDIS_MNEMONIC_PCMPISTRI:
	case ZYDIS_MNEMONIC_PCMPISTRM:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
		return true;
	default:
		return false;
	}
}

static bool is_aligned_vector(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VMOVAPS:
	case ZYDIS_MNEMONIC_VMOVAPD:
	case ZYDIS_MNEMONIC_VMOVDQA:
	case ZYDIS_MNEMONIC_VMOVDQA32:
	case ZYDIS_MNEMONIC_VMOVDQA64:
	case ZYDIS_MNEMONIC_VMOVNTDQ:
	case ZYDIS_MNEMONIC_VMOVNTDQA:
	case ZYDIS_MNEMONIC_VMOVNTPS:
	case ZYDIS_MNEMONIC_VMOVNTPD:
		return true;
	default:
		return false;
	}
}

/* Not by Zydis' exception classes: cvtpd2pi and others have none. */
static bool is_legacy_sse(const ZydisDecodedInstruction *insn)
{
	return insn->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY &&
		executable_sets[insn->meta.isa_set] &&
		insn->meta.isa_set != ZYDIS_ISA_SET_X87;
}

static uint16_t operand_alignment(
	const struct view *view, const struct insn_operand *operand)
{
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_CMPXCHG16B:
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		return 16;
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
	case ZYDIS_MNEMONIC_XSAVEOPT:
	case ZYDIS_MNEMONIC_XSAVEOPT64:
	case ZYDIS_MNEMONIC_XSAVEC:
	case ZYDIS_MNEMONIC_XSAVEC64:
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		return 64;
	case ZYDIS_MNEMONIC_MOVDIR64B:
		return operand->kind == ACCESS_STORE ? 64 : 1;
	default:
		break;
	}
	if (is_aligned_vector(view->insn.mnemonic))
		return (uint16_t)operand->size;
	if (is_legacy_sse(&view->insn) && operand->size == 16 &&
		!is_unaligned_sse(view->insn.mnemonic))
		return 16;
	return 1;
}

static bool operand_conditional(
	const struct view *view, const ZydisDecodedOperand *operand)
{
	return (operand->actions &
		       (ZYDIS_OPERAND_ACTION_CONDREAD |
			       ZYDIS_OPERAND_ACTION_CONDWRITE)) &&
		!(operand->actions &
			(ZYDIS_OPERAND_ACTION_READ |
				ZYDIS_OPERAND_ACTION_WRITE)) &&
		/* Correction: the count decides, not the element. */
		(view->insn.meta.category != ZYDIS_CATEGORY_STRINGOP ||
			(view->insn.attributes & (ZYDIS_ATTRIB_HAS_REP |
				ZYDIS_ATTRIB_HAS_REPE |
				ZYDIS_ATTRIB_HAS_REPNE)));
}

static void add_operand(const struct view *view,
	const ZydisDecodedOperand *operand, struct insn *out)
{
	struct insn_operand *o = &out->operands[out->operand_count++];

	*o = (struct insn_operand){
		.kind = operand_kind(view, operand),
		.size = operand->size / 8,
		.base = register_number(operand->mem.base),
		.index = register_number(operand->mem.index),
		.scale = operand->mem.scale ? operand->mem.scale : 1,
		.segment = segment_number(operand->mem.segment),
		.displacement = operand->mem.disp.value,
		.lanes = 1,
		.vsib = operand->mem.type == ZYDIS_MEMOP_TYPE_VSIB,
		.conditional = operand_conditional(view, operand),
	};
	/* Correction: with 66h Intel reads only the 16 bits it uses. */
	if (view->insn.mnemonic == ZYDIS_MNEMONIC_MOVSXD && !is_amd &&
		view->insn.operand_width == 16)
		o->size = 2;
	o->alignment = operand_alignment(view, o);
}

/* Loads first: an instruction with two operands reads one to write the
 * other. */
static void add_operands(const struct view *view, struct insn *out)
{
	for (int stores = 0; stores < 2; stores++)
		for (unsigned i = 0; i < view->insn.operand_count; i++) {
			const ZydisDecodedOperand *o = &view->operands[i];

			if (is_access(o) &&
				access_writes(operand_kind(view, o)) == stores &&
				out->operand_count < INSN_OPERANDS_MAX)
				add_operand(view, o, out);
		}
}

/* ---- details by form ---- */

static void set_width(struct insn *out, unsigned bytes)
{
	out->internal.width = (uint8_t)bytes;
}

/* The hidden stack operand stands at rsp: a push's is below it. */
static void fix_stack(const struct view *view, struct insn *out)
{
	for (unsigned i = 0; i < out->operand_count; i++) {
		struct insn_operand *o = &out->operands[i];

		if (out->operand_count > 1 && i == 0 &&
			(out->internal.form == FORM_PUSH_MEM ||
				out->internal.form == FORM_CALL_MEM))
			continue;
		if (out->operand_count > 1 && i == 1 &&
			out->internal.form == FORM_POP_MEM)
			continue;
		if (o->kind == ACCESS_STORE)
			o->displacement = -(int64_t)o->size;
		set_width(out, o->size);
	}
	if (out->internal.form == FORM_JMP_MEM)
		set_width(out, out->operands[0].size);
	(void)view;
}

static void fix_enter(const struct view *view, struct insn *out)
{
	out->operands[0].kind = ACCESS_STORE;
	out->internal.immediate = (int64_t)view->operands[0].imm.value.u;
	out->internal.immediate2 =
		(int64_t)(view->operands[1].imm.value.u & 31);
	set_width(out, view->insn.operand_width / 8);
	out->operands[0].size = out->internal.width;
	out->operands[0].displacement = -(int64_t)out->internal.width;
	if (out->internal.immediate2 < 2)
		return;
	out->operands[1] = out->operands[0];
	out->operands[1].kind = ACCESS_LOAD;
	out->operands[1].base = ARCH_RBP;
	out->operand_count = 2;
}

static void fix_state_size(const struct view *view, struct insn *out)
{
	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		out->operands[0].kind = ACCESS_STORE;
		out->operands[0].size = 512;
		break;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		out->operands[0].kind = ACCESS_LOAD;
		out->operands[0].size = 512;
		break;
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		out->operands[0].kind = ACCESS_LOAD;
		out->operands[0].size = 0;
		break;
	default:
		/* Correction: Zydis says 576. The header is read, too. */
		out->operands[0].kind = ACCESS_RMW;
		out->operands[0].size = 0;
	}
}

static void fix_string(const struct view *view, struct insn *out)
{
	ZydisInstructionAttributes repeats = ZYDIS_ATTRIB_HAS_REP |
		ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE;

	out->string = true;
	out->repeated = view->insn.attributes & repeats;
	if (view->insn.attributes & ZYDIS_ATTRIB_HAS_REPNE)
		out->internal.repeat = REPEAT_NE;
	else if (out->repeated)
		out->internal.repeat = REPEAT_E;
	set_width(out, out->operands[0].size);
}

static void fix_vsib(const struct view *view, struct insn *out)
{
	struct insn_operand *m = &out->operands[0];
	unsigned first = out->internal.form == FORM_SCATTER ? 2 : 0;
	const ZydisDecodedOperand *data = &view->operands[first];
	unsigned index_total = 0, index_bytes;

	/* The forms are named by index and element: ..dd dq qd qq dps qpd.. */
	for (unsigned i = 0; i < view->insn.operand_count_visible; i++)
		if (is_access(&view->operands[i]))
			index_total = ZydisRegisterClassGetWidth(
				ZYDIS_MACHINE_MODE_LONG_64,
				ZydisRegisterGetClass(
					view->operands[i].mem.index));
	switch (view->insn.opcode & 3) {
	case 0: /* 90 92 a0 a2: dword indices */
	case 2:
		index_bytes = 4;
		break;
	default: /* 91 93 a1 a3: qword indices */
		index_bytes = 8;
	}
	out->internal.index_bytes = (uint8_t)index_bytes;
	out->internal.data_bytes = (uint8_t)m->size;
	m->lanes = (uint8_t)(index_total / 8 / index_bytes);
	if (data->size / 8 / m->size < m->lanes)
		m->lanes = (uint8_t)(data->size / 8 / m->size);
	m->conditional = true;
}

/* The address that lea computes. */
static void fix_lea(const struct view *view, struct insn *out)
{
	set_width(out, view->insn.operand_width / 8);
	for (unsigned i = 0; i < view->insn.operand_count; i++)
		if (view->operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			add_operand(view, &view->operands[i], out);
			break;
		}
	out->operands[0].segment = INSN_SEGMENT_NONE;
	out->operand_count = 0;
}

static void fix_moffs(const struct view *view, struct insn *out)
{
	set_width(out, out->operands[0].size);
	(void)view;
}

static void fix_xlat(struct insn *out)
{
	/* Correction: al is added, as an unsigned byte. */
	out->operands[0].conditional = false;
}

/* ---- masks ---- */

/* Correction: classed as suppressing, but these read the whole operand. */
static bool reads_whole_operand(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_VDBPSADBW:
	case ZYDIS_MNEMONIC_VGF2P8AFFINEQB:
	case ZYDIS_MNEMONIC_VGF2P8AFFINEINVQB:
	case ZYDIS_MNEMONIC_VCVTNE2PS2BF16:
		return true;
	default:
		return false;
	}
}

static bool suppresses_faults(const ZydisDecodedInstruction *insn)
{
	if (reads_whole_operand(insn->mnemonic))
		return false;
	switch (insn->meta.exception_class) {
	case ZYDIS_EXCEPTION_CLASS_E1NF:
	case ZYDIS_EXCEPTION_CLASS_E2NF:
	case ZYDIS_EXCEPTION_CLASS_E3NF:
	case ZYDIS_EXCEPTION_CLASS_E4NF:
	case ZYDIS_EXCEPTION_CLASS_E5NF:
	case ZYDIS_EXCEPTION_CLASS_E6NF:
	case ZYDIS_EXCEPTION_CLASS_E9NF:
	case ZYDIS_EXCEPTION_CLASS_E10NF:
	case ZYDIS_EXCEPTION_CLASS_E11NF:
		return false;
	default:
		return true;
	}
}

static bool is_vector_register(const ZydisDecodedOperand *operand)
{
	ZydisRegisterClass class;

	if (operand->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return false;
	class = ZydisRegisterGetClass(operand->reg.value);
	return class >= ZYDIS_REGCLASS_XMM && class <= ZYDIS_REGCLASS_ZMM;
}

/* How many mask bits the instruction looks at. */
static unsigned mask_bits(
	const struct view *view, const ZydisDecodedOperand *memory)
{
	const ZydisDecodedOperand *destination = &view->operands[0];
	unsigned count = memory->element_count;

	if (view->insn.avx.broadcast.mode)
		count = view->insn.avx.vector_length / memory->element_size;
	if (is_vector_register(destination) &&
		destination->element_count < count)
		count = destination->element_count;
	return count;
}

static void set_k_mask(const struct view *view,
	const ZydisDecodedOperand *memory, struct insn *out)
{
	unsigned bits = mask_bits(view, memory);
	unsigned bytes = memory->size / 8u;

	if (!bits || !suppresses_faults(&view->insn))
		return;
	out->internal.mask_source = MASK_K;
	out->internal.mask_reg =
		(uint8_t)ZydisRegisterGetId(view->insn.avx.mask.reg);
	out->internal.mask_lanes = (uint8_t)bits;
	out->internal.granule = (uint8_t)(bytes / bits);
	out->operands[0].conditional = true;
	if (view->insn.meta.category == ZYDIS_CATEGORY_COMPRESS ||
		view->insn.meta.category == ZYDIS_CATEGORY_EXPAND) {
		out->internal.mask_source = MASK_K_COUNT;
	} else if (view->insn.avx.broadcast.mode) {
		out->internal.mask_source = MASK_K_ANY;
		out->internal.granule = (uint8_t)(memory->element_size / 8);
	}
}

static void set_vector_mask(struct insn *out, unsigned granule, uint8_t reg)
{
	out->internal.mask_source = MASK_VECTOR;
	out->internal.mask_reg = reg;
	out->internal.granule = (uint8_t)granule;
	out->internal.mask_lanes = (uint8_t)(out->operands[0].size / granule);
	out->operands[0].conditional = true;
}

/* EVEX: the mask register; VEX: the third operand. */
static void set_lane_mask(const struct view *view, struct insn *out)
{
	if (view->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX) {
		out->internal.mask_source = MASK_K;
		out->internal.mask_reg = (uint8_t)ZydisRegisterGetId(
			view->insn.avx.mask.reg);
	} else {
		out->internal.mask_source = MASK_VECTOR;
		out->internal.mask_reg = out->internal.vreg;
	}
}

static void set_mask(const struct view *view, struct insn *out)
{
	const ZydisDecodedOperand *memory = modrm_access(view);

	switch (view->insn.mnemonic) {
	case ZYDIS_MNEMONIC_VMASKMOVPS:
	case ZYDIS_MNEMONIC_VPMASKMOVD:
		set_vector_mask(out, 4, out->internal.vreg);
		return;
	case ZYDIS_MNEMONIC_VMASKMOVPD:
	case ZYDIS_MNEMONIC_VPMASKMOVQ:
		set_vector_mask(out, 8, out->internal.vreg);
		return;
	case ZYDIS_MNEMONIC_MASKMOVQ:
	case ZYDIS_MNEMONIC_MASKMOVDQU:
	case ZYDIS_MNEMONIC_VMASKMOVDQU:
		set_vector_mask(out, 1, out->internal.rm);
		return;
	default:
		break;
	}
	if (out->internal.form == FORM_GATHER ||
		out->internal.form == FORM_SCATTER) {
		set_lane_mask(view, out);
		return;
	}
	if (memory && view->insn.avx.mask.mode > ZYDIS_MASK_MODE_DISABLED &&
		view->insn.encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX &&
		view->insn.avx.mask.reg != ZYDIS_REGISTER_K0)
		set_k_mask(view, memory, out);
}

/* ---- state ---- */

static bool is_integer_only(ZydisMnemonic mnemonic)
{
	switch (mnemonic) {
	case ZYDIS_MNEMONIC_MOVNTI:
	case ZYDIS_MNEMONIC_CRC32:
		return true;
	default:
		return false;
	}
}

static bool is_integer_set(ZydisISASet set)
{
	switch (set) {
	case ZYDIS_ISA_SET_ADOX_ADCX:
	case ZYDIS_ISA_SET_BMI1:
	case ZYDIS_ISA_SET_BMI2:
	case ZYDIS_ISA_SET_LZCNT:
	case ZYDIS_ISA_SET_MOVBE:
	case ZYDIS_ISA_SET_POPCNT:
	case ZYDIS_ISA_SET_TBM:
		return true;
	default:
		return false;
	}
}

/* Not by operands alone: cvttsd2si names no vector register and yet reads and
 * writes MXCSR. */
static bool needs_xstate(const struct view *view, enum decode_form form)
{
	if (form == FORM_GATHER || form == FORM_SCATTER ||
		form == FORM_XSAVE || form == FORM_XRSTOR ||
		form == FORM_MASKMOV)
		return true;
	/* fcomi is in a set with integer instructions. */
	if (form == FORM_REGISTER &&
		view->insn.meta.category == ZYDIS_CATEGORY_X87_ALU)
		return true;
	return (form == FORM_PLAIN || form == FORM_REGISTER) &&
		executable_sets[view->insn.meta.isa_set] &&
		!is_integer_only(view->insn.mnemonic) &&
		!is_integer_set(view->insn.meta.isa_set);
}

/* ---- encoding ---- */

static struct encoding encoding_of(const struct view *view, const uint8_t *bytes)
{
	const ZydisDecodedInstruction *insn = &view->insn;
	struct encoding e = { .modrm = insn->raw.modrm.offset };
	uint8_t i = 0;

	while (i < insn->raw.prefix_count)
		i++;
	switch (insn->encoding) {
	case ZYDIS_INSTRUCTION_ENCODING_VEX:
		e.kind = ENCODING_VEX;
		e.opcode = insn->raw.vex.offset;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_XOP:
		e.kind = ENCODING_VEX;
		e.opcode = insn->raw.xop.offset;
		break;
	case ZYDIS_INSTRUCTION_ENCODING_EVEX:
		e.kind = ENCODING_EVEX;
		e.opcode = insn->raw.evex.offset;
		break;
	default:
		e.kind = ENCODING_LEGACY;
		e.opcode = i;
		e.has_rex = i && (bytes[i - 1] & 0xf0) == 0x40;
	}
	e.has_modrm = insn->attributes & ZYDIS_ATTRIB_HAS_MODRM;
	e.operands_end = (uint8_t)(e.modrm + 1);
	if (insn->attributes & ZYDIS_ATTRIB_HAS_SIB)
		e.operands_end++;
	e.operands_end = (uint8_t)(e.operands_end + insn->raw.disp.size / 8);
	return e;
}

static bool is_low_gpr(const ZydisDecodedOperand *operand)
{
	ZydisRegister reg = operand->reg.value;

	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER && is_gpr(reg) &&
		!(reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH);
}

/* Number of a register operand; high-byte registers as encoded, 4..7. */
static uint8_t operand_register(const ZydisDecodedOperand *operand)
{
	ZydisRegister reg = operand->reg.value;

	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (uint8_t)(4 + reg - ZYDIS_REGISTER_AH);
	/* Zydis numbers byte registers with ah..bh counted in between. */
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B)
		return (uint8_t)(4 + reg - ZYDIS_REGISTER_SPL);
	return (uint8_t)ZydisRegisterGetId(reg);
}

static void set_registers(
	const struct view *view, struct encoding *e, struct insn *out)
{
	out->internal.reg = view->insn.raw.modrm.reg;
	out->internal.vreg = INSN_REG_NONE & 0xff;
	out->internal.rm = view->insn.raw.modrm.rm;
	for (unsigned i = 0; i < view->insn.operand_count; i++) {
		const ZydisDecodedOperand *o = &view->operands[i];

		if (o->type != ZYDIS_OPERAND_TYPE_REGISTER)
			continue;
		switch (o->encoding) {
		case ZYDIS_OPERAND_ENCODING_MODRM_REG:
			out->internal.reg = operand_register(o);
			e->reg_is_gpr = is_low_gpr(o);
			break;
		case ZYDIS_OPERAND_ENCODING_NDSNDD:
			out->internal.vreg = operand_register(o);
			e->vreg_is_gpr = is_low_gpr(o);
			break;
		case ZYDIS_OPERAND_ENCODING_MODRM_RM:
		case ZYDIS_OPERAND_ENCODING_OPCODE:
			out->internal.rm = operand_register(o);
			e->rm_is_gpr = is_low_gpr(o);
			e->opcode_reg = (uint8_t)(e->opcode +
				(view->insn.opcode_map ==
					ZYDIS_OPCODE_MAP_0F));
			break;
		default:
			break;
		}
	}
}

static void set_displaced(
	const struct view *view, struct encoding *e, struct insn *out)
{
	switch (out->internal.form) {
	case FORM_PLAIN:
	case FORM_BIT:
	case FORM_XSAVE:
	case FORM_XRSTOR:
		rewrite_insn(e, out);
		break;
	case FORM_MASKMOV:
		rewrite_implied(e, out);
		break;
	case FORM_REGISTER:
		rewrite_register(e, out);
		break;
	default:
		break;
	}
	(void)view;
}

static void set_immediates(const struct view *view, struct insn *out)
{
	if (view->insn.operand_count_visible &&
		view->operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		out->internal.immediate = view->operands[0].imm.value.s;
	/* ret's pops are unsigned */
	if (out->internal.form == FORM_RET)
		out->internal.immediate &= 0xffff;
}

static void set_details(const struct view *view, struct insn *out)
{
	switch (out->internal.form) {
	case FORM_PUSH_REG:
	case FORM_PUSH_IMM:
	case FORM_PUSH_MEM:
	case FORM_PUSH_FLAGS:
	case FORM_POP_REG:
	case FORM_POP_MEM:
	case FORM_POP_FLAGS:
	case FORM_CALL_REL:
	case FORM_CALL_REG:
	case FORM_CALL_MEM:
	case FORM_JMP_MEM:
	case FORM_RET:
	case FORM_LEAVE:
		fix_stack(view, out);
		break;
	case FORM_ENTER:
		fix_enter(view, out);
		break;
	case FORM_MOVS:
	case FORM_CMPS:
	case FORM_STOS:
	case FORM_LODS:
	case FORM_SCAS:
		fix_string(view, out);
		break;
	case FORM_GATHER:
	case FORM_SCATTER:
		fix_vsib(view, out);
		break;
	case FORM_XSAVE:
	case FORM_XRSTOR:
		fix_state_size(view, out);
		break;
	case FORM_XLAT:
		fix_xlat(out);
		break;
	case FORM_MOFFS_LOAD:
	case FORM_MOFFS_STORE:
		fix_moffs(view, out);
		break;
	case FORM_MOVDIR64B:
		/* Correction: overrides are for the source only. */
		out->operands[1].segment = INSN_SEGMENT_NONE;
		break;
	case FORM_BIT:
	case FORM_XCHG:
		set_width(out, out->operands[0].size);
		break;
	case FORM_LEA:
		fix_lea(view, out);
		break;
	case FORM_UNDEFINED:
		out->operand_count = 0;
		break;
	case FORM_JCC:
		out->internal.reg = view->insn.opcode & 15;
		break;
	case FORM_LOOP:
		out->internal.reg = view->insn.opcode & 3;
		break;
	case FORM_DIRECTION:
		out->internal.reg = view->insn.opcode & 1;
		break;
	case FORM_JMP_REL:
	case FORM_JMP_REG:
		set_width(out, view->insn.operand_width / 8);
		break;
	default:
		break;
	}
}

static bool has_mmx_operand(const struct view *view)
{
	for (unsigned i = 0; i < view->insn.operand_count; i++)
		if (view->operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
			ZydisRegisterGetClass(view->operands[i].reg.value) ==
				ZYDIS_REGCLASS_MMX)
			return true;
	return false;
}

static void set_flags(const struct view *view, struct insn *out)
{
	out->address32 = view->insn.address_width == 32;
	out->atomic = (view->insn.attributes & ZYDIS_ATTRIB_HAS_LOCK) ||
		out->internal.form == FORM_XCHG;
	out->branches = view->insn.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;
	out->needs_xstate = needs_xstate(view, out->internal.form);
	out->internal.x87 =
		view->insn.meta.category == ZYDIS_CATEGORY_X87_ALU ||
		view->insn.meta.category == ZYDIS_CATEGORY_FCMOV;
	out->internal.converts =
		view->insn.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PH ||
		view->insn.mnemonic == ZYDIS_MNEMONIC_VCVTPS2PHX;
	out->internal.mmx = has_mmx_operand(view);
	out->internal.mnemonic = (uint16_t)view->insn.mnemonic;
	out->internal.vector_bytes =
		(uint16_t)(view->insn.avx.vector_length / 8);
}

/* Touches memory that no operand names (system calls, interrupts). */
static bool is_system(const ZydisDecodedInstruction *insn)
{
	switch (insn->meta.category) {
	case ZYDIS_CATEGORY_SYSCALL:
	case ZYDIS_CATEGORY_SYSRET:
	case ZYDIS_CATEGORY_SYSTEM:
	case ZYDIS_CATEGORY_INTERRUPT:
	case ZYDIS_CATEGORY_IO:
	case ZYDIS_CATEGORY_IOSTRINGOP:
		return true;
	default:
		return insn->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED;
	}
}

static void set_method(const struct view *view, struct insn *out)
{
	enum decode_form form = is_system(&view->insn) ? FORM_NONE :
							 form_of(view);

	if (form == FORM_NONE && !is_system(&view->insn))
		form = register_form(view);
	if (is_hint(&view->insn)) {
		out->operand_count = 0;
		out->method = INSN_EXECUTE;
		out->internal.form = FORM_NOP;
	} else if (form != FORM_NONE) {
		out->method = INSN_EXECUTE;
		out->internal.form = (uint8_t)form;
	} else if (out->operand_count || is_system(&view->insn)) {
		out->method = INSN_STEP;
	} else {
		out->method = INSN_NO_ACCESS;
	}
}

int zydis_decode(const uint8_t *bytes, size_t len, struct insn *out)
{
	struct view view;
	struct encoding encoding;
	ZyanStatus status = decode(bytes, len, &view);

	if (status == ZYDIS_STATUS_NO_MORE_DATA && len < ARCH_INSN_MAX)
		return -ENODATA;
	if (!ZYAN_SUCCESS(status))
		return -EILSEQ;
	memset(out, 0, sizeof(*out));
	memcpy(out->bytes, bytes, view.insn.length);
	out->length = view.insn.length;
	out->internal.modrm = bytes[view.insn.raw.modrm.offset];
	out->internal.rex = view.insn.attributes & ZYDIS_ATTRIB_HAS_REX;
	add_operands(&view, out);
	set_method(&view, out);
	encoding = encoding_of(&view, bytes);
	set_registers(&view, &encoding, out);
	set_immediates(&view, out);
	set_flags(&view, out);
	set_details(&view, out);
	if (out->method != INSN_EXECUTE)
		return 0;
	if (out->internal.form == FORM_FLUSH)
		out->operand_count = 0;
	set_mask(&view, out);
	set_displaced(&view, &encoding, out);
	return 0;
}

bool zydis_text(const uint8_t *bytes, size_t len, uint64_t rip, char *text,
	size_t capacity)
{
	struct view view;
	ZydisFormatter formatter;

	return ZYAN_SUCCESS(decode(bytes, len, &view)) &&
		ZYAN_SUCCESS(ZydisFormatterInit(
			&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) &&
		ZYAN_SUCCESS(ZydisFormatterFormatInstruction(&formatter,
			&view.insn, view.operands,
			view.insn.operand_count_visible, text, capacity, rip,
			NULL));
}

const char *zydis_mnemonic(uint16_t mnemonic)
{
	const char *name = ZydisMnemonicGetString((ZydisMnemonic)mnemonic);

	return name ? name : "?";
}
