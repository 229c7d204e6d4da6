/*
 * Constant bytes that share a name and a function, as messages do: which of the
 * old ones a new one was can't be told, and a copy is as good.
 *
 * outcome: replace
 * replaced: f
 * data: message.0 message.1
 * held: message.0 message.1
 */
int say(const char *text);

int f(int a)
{
#ifdef POST
	if (a == 1) {
		static const char message[] = "the first of them is another";

		return say(message);
	}
	if (a == 2) {
		static const char message[] = "so is the second";

		return say(message + 1);
	}
#else
	if (a == 1) {
		static const char message[] = "the first";

		return say(message);
	}
	if (a == 2) {
		static const char message[] = "the second";

		return say(message + 1);
	}
#endif
	return take(a);
}
