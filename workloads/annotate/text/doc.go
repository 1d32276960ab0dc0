// Package text prepares documents: Clean makes the visible text of HTML or plain
// text, Tokenise divides it into tokens and sentences, Identify tells its language.
//
// Tokens follow the English Web Treebank (Bies et al. 2012, LDC2012T13; Silveira et
// al. 2014), the successor of the Penn treebank's rules: clitics stand alone ("do" +
// "n't"), so do hyphens between words ("full" + "-" + "fledged") and currency signs;
// addresses, numbers with their separators, emoticons and abbreviations with their
// full stops stay whole. Score measures how close Tokenise comes.
//
// Nothing here fails on any input: what is not UTF-8 is taken byte by byte as parts of
// words, control characters as white space, and scripts that write no spaces are
// divided by the word boundaries of Unicode (UAX 29).
package text
