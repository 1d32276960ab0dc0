// Package pipeline is document annotation as functions of invoke/workflow, and the
// workflows that users make of them, by a file.
//
// The functions, with what each needs:
//
//	parse       the visible text of the source, HTML or plain
//	tokens      parse       tokens, sentences, terms and their numbers in the vocabulary
//	language    tokens      what the text is written in
//	speech      language    parts of speech
//	entities    speech      persons, organizations, locations
//	keyphrases  speech      noun chunks that tell what the text is about
//	embedding   language    the text's vector
//	topics      embedding   which of the workflow's topics the text is about
//	sentiment   language    favourable or not
//	summary     language    the sentences that stand for the text
//	knowledge   entities    links entities to what was seen before
//
// Those after language are for English: on a text in another language they are
// skipped. tokens, language, speech and entities run on the parts of large documents.
package pipeline
