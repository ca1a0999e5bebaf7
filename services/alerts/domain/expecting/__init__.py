"""What a series lets expect of a day, by the method that its history allows, and the judgement."""
