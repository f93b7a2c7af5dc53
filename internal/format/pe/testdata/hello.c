/* The smallest program that is still a real PE file. */
void start(void) {}
