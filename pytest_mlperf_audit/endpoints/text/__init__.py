"""Wire formats that answer in text: chat, completions, Responses, Messages, SGLang; and what they share. Pure."""
