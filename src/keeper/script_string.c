/* SPDX-License-Identifier: MIT */
#include "keeper/script_impl.h"
void script_string_fill(lua_State *lua)
{
	(void)lua;
}
