/*
 * The constant beside the one that an unchanged function reads has changed; the
 * compiler puts both into one section.
 *
 * outcome: replace
 * replaced: g
 */
struct state {
	unsigned char hook, family;
	void *in, *out;
};
int hand(struct state *state);
int f(void *in)
{
	struct state state = { .hook = 4, .family = 2, .in = in };

	return hand(&state);
}
#ifdef POST
#define HOOK 5
#else
#define HOOK 3
#endif
int g(void *in)
{
	struct state state = { .hook = HOOK, .family = 10, .in = in };

	return hand(&state);
}
