/*
 * The header counts once more, so that all BTF ids have other names; of two
 * functions whose names differ in a digit, each keeps its own,
 * and one is in two sets.
 *
 * outcome: replace
 * replaced: g
 */
#define JOIN(a, b, c) #a #b #c
#define LABEL(a, b, c) JOIN(a, b, c)
#define PLACE(label)							\
	asm(".pushsection .BTF_ids,\"a\"\n.local " label "\n"		\
	    ".type " label ", STT_OBJECT\n.size " label ", 4\n"		\
	    label ":\n.zero 4\n.popsection")
#define BTF_ID(name) BTF_ID_OF(name, __COUNTER__)
#define BTF_ID_OF(name, count) PLACE(LABEL(__BTF_ID__func__##name##__, count, 12))
#ifdef POST
enum { counted = __COUNTER__ };
#endif
BTF_ID(step1);
BTF_ID(step2);
BTF_ID(step2);
int g(int a)
{
#ifdef POST
	return take(a) + 1;
#else
	return take(a);
#endif
}
