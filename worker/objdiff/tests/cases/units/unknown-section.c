/*
 * A section whose meaning nobody has stated.
 *
 * error: .mystery
 */
int x __section(".mystery") = 1;
int f(void)
{
	return x;
}
