/*
 * What tracing would read of new enumerators is left out; initial data that
 * others refer to, too, is not.
 *
 * outcome: needs-code
 * replaced: f
 * refused: init-changed other
 */
struct map { const char *name; long value; };
#define __initdata __section(".init.data")
#ifdef POST
static struct map ____trace_a __used __initdata = { "a", 1 };
static struct map *trace_a __used __section("_ftrace_eval_map") = &____trace_a;
static struct map other __used __initdata = { "b", 2 };
static struct map *trace_b __used __section("_ftrace_eval_map") = &other;
static struct map *also __used = &other;
#endif
int f(int a)
{
#ifdef POST
	a++;
#endif
	return take(a);
}
