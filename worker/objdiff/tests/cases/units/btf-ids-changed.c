/*
 * Another function is in a set of BTF ids: the kernel has read it long ago.
 *
 * outcome: refused
 * refused: changed-btf-ids __BTF_ID__func__step1__7
 * refused: changed-btf-ids __BTF_ID__func__step2__7
 */
#define BTF_ID(label)							\
	asm(".pushsection .BTF_ids,\"a\"\n.local " label "\n"		\
	    ".type " label ", STT_OBJECT\n.size " label ", 4\n"		\
	    label ":\n.zero 4\n.popsection")
#ifdef POST
BTF_ID("__BTF_ID__func__step2__7");
#else
BTF_ID("__BTF_ID__func__step1__7");
#endif
int g(int a)
{
	return take(a);
}
