/* wide - stores of two floats as one 64-bit word: software Vulkan stores lane by lane and component by component, so halving the words nearly halves
 * the time (llvmpipe: 10 -> 5 ns per float). */
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require

uint64_t wide(float a, float b)
{
    return packUint2x32(uvec2(floatBitsToUint(a), floatBitsToUint(b)));
}

u64vec2 wide4(vec4 v)
{
    return u64vec2(wide(v.x, v.y), wide(v.z, v.w));
}
